"""Localisation of a known region by a heatmap: pointing game, mass inside, IoU."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from proxy_keras.io.extras import extra
from proxy_keras.metrics.heatmap_arrays import at_size, checked_heatmaps, is_constant


def pointing_game(
    heatmaps: Any,
    regions: Any,
    *,
    tolerance: float = 15.0,
    size: tuple[int, int] | None = None,
) -> NDArray[np.bool_]:
    """Return whether the hottest pixel of each heatmap is in or near its region.

    Args:
        heatmaps: [B, h, w] of any size; resized to the regions.
        regions: Masks [B, H, W] of bools (or 0 and 1), or boxes [B, 4] in pixels: x0, y0, x1, y1,
            where x1 and y1 are exclusive.
        tolerance: Largest distance of the hottest pixel from the region in pixels, >= 0. The
            paper's 15 suits photographs; small images need less.
        size: (H, W) of the images that boxes refer to. None: that of the heatmaps.

    Returns:
        [B] bool. A constant (blank) map is a miss. Of several equally hot pixels the first in
        reading order counts.

    Raises:
        ValueError: An argument has an invalid shape or value, or a region is empty.

    Source: Zhang et al., Top-down Neural Attention by Excitation Backprop (ECCV 2016).
    """
    if tolerance < 0:
        raise ValueError(f"`tolerance` must be >= 0 (in pixels). Received: {tolerance}")
    with extra("evaluate"):
        from scipy.ndimage import distance_transform_edt

    maps, masks = _maps_and_masks(heatmaps, regions, size)
    hottest = maps.reshape(len(maps), -1).argmax(axis=1)
    # The distance to the nearest pixel of the mask, 0 inside.
    distances = np.array(
        [distance_transform_edt(~mask).flat[at] for mask, at in zip(masks, hottest, strict=True)]
    )
    return (distances <= tolerance) & ~is_constant(maps)


def mass_inside(
    heatmaps: Any, regions: Any, *, size: tuple[int, int] | None = None
) -> NDArray[np.float64]:
    """Compute the share of each heatmap's heat inside its region (energy-based pointing game).

    Arguments and errors as for `pointing_game`; heat must not be negative.

    Returns:
        [B] in [0, 1]; 0 for a map without heat.

    Source: Wang et al., Score-CAM (CVPR Workshops 2020), section 4.3.
    """
    maps, masks = _maps_and_masks(heatmaps, regions, size)
    if maps.min() < 0:
        raise ValueError(f"Heat must be >= 0. Received: {maps.min()}. Pass the positive part.")
    total = maps.sum(axis=(1, 2), dtype=np.float64)
    inside = (maps * masks).sum(axis=(1, 2), dtype=np.float64)
    return np.divide(inside, total, out=np.zeros_like(total), where=total > 0)


def iou(
    heatmaps: Any,
    regions: Any,
    *,
    threshold: float = 0.5,
    size: tuple[int, int] | None = None,
) -> NDArray[np.float64]:
    """Compute the intersection over union of each heatmap's hot pixels and its region.

    Args:
        heatmaps: [B, h, w] of any size; resized to the regions.
        regions: As for `pointing_game`.
        threshold: Heat at or above this is hot, > 0.
        size: As for `pointing_game`.

    Returns:
        [B] in [0, 1]; 0 for a map with nothing hot.

    Raises:
        ValueError: As for `pointing_game`, or `threshold` is not positive.
    """
    if threshold <= 0:
        raise ValueError(
            f"`threshold` must be > 0: a blank map has no hot pixels. Received: {threshold}"
        )
    maps, masks = _maps_and_masks(heatmaps, regions, size)
    is_hot = maps >= threshold
    union = (is_hot | masks).sum(axis=(1, 2))
    return (is_hot & masks).sum(axis=(1, 2)) / union


def _maps_and_masks(
    heatmaps: Any, regions: Any, size: tuple[int, int] | None
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return heatmaps and masks [B, H, W] of the same size."""
    maps = checked_heatmaps(heatmaps)
    regions = np.asarray(regions)
    if len(regions) != len(maps) or (regions.ndim != 3 and regions.shape[1:] != (4,)):
        raise ValueError(
            f"`regions` must be {len(maps)} masks [B, H, W] or boxes [B, 4], one per heatmap. "
            f"Received: shape {regions.shape}"
        )
    if regions.ndim == 3:
        if size is not None and tuple(size) != regions.shape[1:]:
            raise ValueError(
                f"`size` must match the masks, {regions.shape[1:]}, or be None. Received: {size}"
            )
        if regions.dtype != np.bool_ and not np.isin(regions, (0, 1)).all():
            raise ValueError(
                "Masks must be bools, or 0 and 1. Received: other values. Apply a threshold first."
            )
        masks = regions.astype(bool)
    else:
        masks = masks_of_boxes(regions, maps.shape[1:] if size is None else tuple(size))
    empty = np.flatnonzero(~masks.any(axis=(1, 2)))
    if empty.size:
        raise ValueError(
            f"A region must contain at least one pixel. Received: empty ones at {empty.tolist()}. "
            "Leave those images out."
        )
    return at_size(maps, masks.shape[1:]), masks


def masks_of_boxes(boxes: NDArray[Any], size: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return masks [B, H, W] of the pixels whose centre is in the box.

    Args:
        boxes: [B, 4] x0, y0, x1, y1 in pixels, where x1 and y1 are exclusive.
        size: (H, W).
    """
    x0, y0, x1, y1 = (boxes[:, i, np.newaxis, np.newaxis] for i in range(4))
    y, x = np.ogrid[0.5 : size[0], 0.5 : size[1]]
    return (x >= x0) & (x < x1) & (y >= y0) & (y < y1)
