"""Image corruptions (noise, blur, light, compression) at three severities."""

from __future__ import annotations

import io
from collections.abc import Callable
from math import ceil

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import correlate1d
from scipy.special import ive

SEVERITIES = (1, 2, 3)
"""Mild, medium, severe."""

_SIDE = 224
"""Image side in pixels for which the strengths below are defined, as in ImageNet-C."""

# Close to severities 1, 3, 5 of ImageNet-C; brightness 1, 2, 3; contrast 1, 3, 4.
_NOISE = (0.08, 0.18, 0.38)
"""Standard deviation as a share of the value range; scales with the square root of the side,
because noise averages out over fewer pixels in a small image."""

_BLUR = (3.0, 4.5, 6.0)
"""Standard deviation of a Gaussian in pixels; scales with the side."""

_BRIGHTNESS = (0.1, 0.2, 0.3)
"""Brightness added or subtracted, as a share of the value range (ImageNet-C only adds)."""

_CONTRAST = (0.4, 0.2, 0.1)
"""Share of the contrast that remains."""

_JPEG = (200.0, 333.0, 714.0)
"""Quantisation steps in percent of the standard table (qualities 25, 15, 7); scales with the side,
because a block of 8 x 8 pixels covers more of a small image."""

_PIXELATE = (0.67, 1.5, 3.0)
"""Side of a coarse pixel minus 1, in pixels; scales with the side."""


def corrupt(
    images: NDArray[np.float32],
    name: str,
    severity: int,
    positions: NDArray[np.int64],
    *,
    seed: int = 0,
) -> NDArray[np.float32]:
    """Corrupt images.

    Args:
        images: [B, P, P, 3] in [0, 255]. Not modified.
        name: One of `CORRUPTIONS`.
        severity: 1, 2 or 3; scales the same random draws.
        positions: [B] int64 >= 0, position of each image in its split. The draws depend on it and
            on `seed`, not on the batch.
        seed: Seed of all draws, >= 0.

    Returns:
        [B, P, P, 3] float32, integers in [0, 255], as in an image file.

    Raises:
        ValueError: The name or the severity is unknown.

    Source: Hendrycks and Dietterich, Benchmarking Neural Network Robustness to Common Corruptions
    and Perturbations (ICLR 2019): the kinds and, at 224 pixels, the strengths. Strengths are lower
    for smaller images, as in its 32-pixel version.
    """
    if name not in CORRUPTIONS:
        raise ValueError(f"`name` must be one of {', '.join(CORRUPTIONS)}. Received: {name!r}")
    if severity not in SEVERITIES:
        raise ValueError(f"`severity` must be one of {SEVERITIES}. Received: {severity}")
    draws = [np.random.default_rng([seed, int(position)]) for position in positions]
    values = CORRUPTIONS[name](np.asarray(images, np.float32), severity - 1, draws)
    return np.clip(np.rint(values), 0.0, 255.0).astype(np.float32)


Draws = list[np.random.Generator]


def _noise(images: NDArray[np.float32], level: int, draws: Draws) -> NDArray[np.float32]:
    sd = 255.0 * _NOISE[level] * np.sqrt(images.shape[1] / _SIDE)
    noise = [draw.standard_normal(images.shape[1:], np.float32) for draw in draws]
    return images + np.float32(sd) * np.stack(noise)


def _blur(images: NDArray[np.float32], level: int, draws: Draws) -> NDArray[np.float32]:
    sd = _BLUR[level] * images.shape[1] / _SIDE
    # Discrete Gaussian (Lindeberg 1990): a sampled one does not blur if `sd` is far below 1 pixel.
    away = np.arange(-ceil(4 * sd) - 1, ceil(4 * sd) + 2)
    kernel = ive(away, sd**2)
    kernel /= kernel.sum()
    down = correlate1d(images, kernel, axis=1, mode="nearest")
    return correlate1d(down, kernel, axis=2, mode="nearest")


def _brightness(images: NDArray[np.float32], level: int, draws: Draws) -> NDArray[np.float32]:
    """Brighten about half of the images and darken the others."""
    signs = np.array([1.0 if draw.random() < 0.5 else -1.0 for draw in draws], np.float32)
    return images + np.float32(255.0 * _BRIGHTNESS[level]) * signs[:, None, None, None]


def _contrast(images: NDArray[np.float32], level: int, draws: Draws) -> NDArray[np.float32]:
    means = images.mean(axis=(1, 2), keepdims=True)
    return means + np.float32(_CONTRAST[level]) * (images - means)


def _jpeg(images: NDArray[np.float32], level: int, draws: Draws) -> NDArray[np.float32]:
    step = _JPEG[level] * images.shape[1] / _SIDE
    # How the reference implementation of JPEG makes the size of the steps out of the quality.
    quality = 100.0 - step / 2.0 if step < 100.0 else 5000.0 / step
    return _by_picture(images, lambda picture: _recoded(picture, max(1, round(quality))))


def _recoded(picture: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer)


def _pixelate(images: NDArray[np.float32], level: int, draws: Draws) -> NDArray[np.float32]:
    side = images.shape[1]
    coarse = min(side - 1, round(side / (1.0 + _PIXELATE[level] * side / _SIDE)))

    def pixelated(picture: Image.Image) -> Image.Image:
        small = picture.resize((coarse, coarse), Image.Resampling.BOX)
        return small.resize((side, side), Image.Resampling.NEAREST)

    return _by_picture(images, pixelated)


def _by_picture(
    images: NDArray[np.float32], change: Callable[[Image.Image], Image.Image]
) -> NDArray[np.float32]:
    pixels = np.rint(images).astype(np.uint8)
    return np.stack([np.asarray(change(Image.fromarray(one)), np.float32) for one in pixels])


CORRUPTIONS: dict[str, Callable[[NDArray[np.float32], int, Draws], NDArray[np.float32]]] = {
    "noise": _noise,
    "blur": _blur,
    "brightness": _brightness,
    "contrast": _contrast,
    "jpeg": _jpeg,
    "pixelate": _pixelate,
}
"""Corruption functions by name: (images [B, P, P, 3], severity - 1, draws) -> images."""
