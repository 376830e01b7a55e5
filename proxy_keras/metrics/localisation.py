"""Whether a heatmap points at a known region: pointing game, mass inside, overlap."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from proxy_keras.metrics.heatmap_arrays import at_size, checked_heatmaps, is_constant


def pointing_game(
    heatmaps: Any,
    regions: Any,
    *,
    tolerance: float = 15.0,
    size: tuple[int, int] | None = None,
) -> NDArray[np.bool_]:
    """Whether the hottest pixel of each heatmap lies in its region, or near it.

    Args:
        heatmaps: [B, h, w] of any size, enlarged to the regions'.
        regions: Masks [B, H, W] of bools (or 0 and 1), or boxes [B, 4] in pixels: x0, y0, x1, y1,
            where x1 and y1 are just outside.
        tolerance: How many pixels off the hottest one may be, >= 0. The paper's 15 are meant for
            photographs; small images need less.
        size: (H, W) of the images that boxes refer to. None: the heatmaps'.

    Returns:
        [B] bool. A constant (blank) map points at nothing and misses. Of several equally hot pixels
        the first in reading order counts.

    Raises:
        ValueError: An argument has the wrong shape or no meaning, or a region is empty.

    Source: Zhang et al., Top-down Neural Attention by Excitation Backprop (ECCV 2016).
    """
    if tolerance < 0:
        raise ValueError(f"`tolerance` must be >= 0 (in pixels). Received: {tolerance}")
    maps, masks = _maps_and_masks(heatmaps, regions, size)
    hottest = maps.reshape(len(maps), -1).argmax(axis=1)
    # Off a mask, its distance to the nearest pixel of the mask; on it, 0.
    away = np.array(
        [distance_transform_edt(~mask).flat[at] for mask, at in zip(masks, hottest, strict=True)]
    )
    return (away <= tolerance) & ~is_constant(maps)


def mass_inside(
    heatmaps: Any, regions: Any, *, size: tuple[int, int] | None = None
) -> NDArray[np.float64]:
    """The share of each heatmap's heat that lies in its region: the energy-based pointing game.

    Takes and raises what `pointing_game` does; heat must not be negative.

    Returns:
        [B] in [0, 1]; 0 for a map without heat.

    Source: Wang et al., Score-CAM (CVPR Workshops 2020), section 4.3.
    """
    maps, masks = _maps_and_masks(heatmaps, regions, size)
    if maps.min() < 0:
        raise ValueError(
            f"Heat must be >= 0 to be a mass. Received: {maps.min()}. Pass the positive part."
        )
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
    """Intersection over union of each heatmap's hot pixels with its region.

    Args:
        heatmaps: [B, h, w] of any size, enlarged to the regions'.
        regions: As for `pointing_game`.
        threshold: Heat at or above this is hot, > 0.
        size: As for `pointing_game`.

    Returns:
        [B] in [0, 1]; 0 for a map with nothing hot.

    Raises:
        ValueError: As `pointing_game`, or `threshold` is not positive.
    """
    if threshold <= 0:
        raise ValueError(
            f"`threshold` must be > 0, or a blank map would be hot. Received: {threshold}"
        )
    maps, masks = _maps_and_masks(heatmaps, regions, size)
    is_hot = maps >= threshold
    union = (is_hot | masks).sum(axis=(1, 2))
    return (is_hot & masks).sum(axis=(1, 2)) / union


def _maps_and_masks(
    heatmaps: Any, regions: Any, size: tuple[int, int] | None
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Heatmaps and masks [B, H, W] of one size."""
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
                f"Masks {regions.shape[1:]} have a size of their own. Leave `size` out. Received: "
                f"{size}"
            )
        if regions.dtype != np.bool_ and not np.isin(regions, (0, 1)).all():
            raise ValueError(
                "Masks must be bools, or 0 and 1. Received: other values. Compare them with a "
                "threshold first."
            )
        masks = regions.astype(bool)
    else:
        masks = masks_of_boxes(regions, maps.shape[1:] if size is None else tuple(size))
    empty = np.flatnonzero(~masks.any(axis=(1, 2)))
    if empty.size:
        raise ValueError(
            f"A region must hold at least one pixel. Received: empty ones at {empty.tolist()}. "
            "Leave those images out."
        )
    return at_size(maps, masks.shape[1:]), masks


def masks_of_boxes(boxes: NDArray[Any], size: tuple[int, ...]) -> NDArray[np.bool_]:
    """The pixels whose centre lies in the box: [B, H, W].

    Args:
        boxes: [B, 4] x0, y0, x1, y1 in pixels, where x1 and y1 are just outside.
        size: (H, W).
    """
    x0, y0, x1, y1 = (boxes[:, i, np.newaxis, np.newaxis] for i in range(4))
    y, x = np.ogrid[0.5 : size[0], 0.5 : size[1]]
    return (x >= x0) & (x < x1) & (y >= y0) & (y < y1)
