"""Overlays of heatmaps on images, in colour."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Every sixteenth colour of "inferno" (S. van der Walt and N. Smith, 2015, CC0), which also works in
# greyscale and for colour-blind people. The colours in between are interpolated.
_ANCHORS = (
    "000004 0b0724 210c4a 3d0965 57106e 71196e 8a226a a32c61 bc3754 d04545 e35933 f1711f f98c0a "
    "fcaa0f f9c932 f2e865 fcffa4"
)

_PIXELS_AT_ONCE = 1 << 20
"""Number of pixels processed at a time, which bounds the memory for any image."""


def heat_colours() -> NDArray[np.uint8]:
    """Return the colours of heat from 0 to 1, [256, 3] uint8 RGB."""
    anchors = np.array([list(bytes.fromhex(colour)) for colour in _ANCHORS.split()], np.float64)
    positions = np.rint(np.linspace(0, 255, len(anchors)))
    channels = [np.interp(np.arange(256), positions, anchors[:, c]) for c in range(3)]
    return np.rint(np.stack(channels, axis=1)).astype(np.uint8)


def overlay(
    image: NDArray[np.uint8], heatmap: NDArray[np.float32], *, alpha: float = 0.6
) -> NDArray[np.uint8]:
    """Overlay a heatmap on an image, enlarged bilinearly with half-pixel centres.

    Args:
        image: [H, W, 3] uint8. Not modified.
        heatmap: [h, w] in [0, 1], of any size.
        alpha: Opacity of the colours, in [0, 1].

    Returns:
        [H, W, 3] uint8.

    Raises:
        ValueError: A shape is wrong, or `alpha` is outside [0, 1].
    """
    if image.ndim != 3 or image.shape[2] != 3 or heatmap.ndim != 2 or 0 in heatmap.shape:
        raise ValueError(
            "The image must have shape [H, W, 3], the heatmap [h, w]. Received: "
            f"{list(image.shape)} and {list(heatmap.shape)}"
        )
    if not 0.0 <= alpha <= 1.0:
        raise ValueError(f"`alpha` must be in [0, 1]. Received: {alpha}")
    height, width = image.shape[:2]
    rows = _interpolation(height, heatmap.shape[0])
    heat_across = heatmap.astype(np.float32) @ _interpolation(width, heatmap.shape[1]).T
    colours = np.float32(alpha) * heat_colours()
    result = np.empty_like(image)
    step = max(1, _PIXELS_AT_ONCE // max(1, width))
    for start in range(0, height, step):
        part = slice(start, start + step)
        heat = rows[part] @ heat_across
        levels = np.rint(np.clip(heat, 0.0, 1.0) * 255).astype(np.uint8)
        mixed = np.float32(1.0 - alpha) * image[part] + colours[levels]
        result[part] = np.rint(mixed).astype(np.uint8)
    return result


def _interpolation(length: int, cells: int) -> NDArray[np.float32]:
    """Return the weight of each cell for each pixel along one axis, [length, cells] float32."""
    at = (np.arange(length) + 0.5) * (cells / length) - 0.5
    # Pixels outside the centres of the outermost cells take their values.
    at = np.clip(at, 0.0, cells - 1.0)
    shares: NDArray[np.float64] = 1.0 - np.abs(at[:, np.newaxis] - np.arange(cells))
    return np.clip(shares, 0.0, 1.0).astype(np.float32)
