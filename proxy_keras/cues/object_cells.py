"""Which cells of a feature map lie on the object."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from proxy_keras.objects.object_masks import ObjectMasks


def object_cells(
    objects: ObjectMasks | None, positions: NDArray[np.int64], shape: tuple[int, ...]
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Return the share of each cell's area that lies on the object.

    Args:
        objects: Where the object is in some images; None: unknown in all.
        positions: [B] positions of the images.
        shape: (h, w) of the feature map.

    Returns:
        [B, h, w] uint8, 255 stands for 1.0 and zeros where the object is not known; and whether it
        is known, [B].
    """
    inside = np.zeros([len(positions), *shape], np.uint8)
    if objects is None:
        return inside, np.zeros([len(positions)], bool)
    has_object = objects.has(positions)
    if has_object.any():
        masks = objects.masks(positions[has_object])
        inside[has_object] = np.rint(255 * area_shares(masks, shape))
    return inside, has_object


def area_shares(masks: NDArray[np.bool_], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return the share of each cell's area that a mask covers.

    Args:
        masks: [B, H, W] bool: pixels, or cells of another feature map.
        shape: (h, w) of the feature map.

    Returns:
        [B, h, w] float32 in [0, 1].
    """
    rows = _overlap(masks.shape[1], shape[0])
    columns = _overlap(masks.shape[2], shape[1])
    shares: NDArray[np.float32] = rows @ masks.astype(np.float32) @ columns.T
    return shares


def _overlap(pixels: int, cells: int) -> NDArray[np.float32]:
    """Return the share of each cell that each pixel covers along an axis: [cells, pixels]."""
    edges = np.arange(cells + 1) * pixels / cells
    starts = np.arange(pixels)
    low = np.maximum(edges[:-1, np.newaxis], starts)
    high = np.minimum(edges[1:, np.newaxis], starts + 1)
    return (np.maximum(high - low, 0) * cells / pixels).astype(np.float32)
