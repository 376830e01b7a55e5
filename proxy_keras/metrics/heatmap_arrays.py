"""Arrays of heatmaps: validation, resizing, and ranking of their pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from proxy_keras.heatmaps import scaling as maps_of


def checked_heatmaps(heatmaps: Any, count: int | None = None) -> NDArray[np.float32]:
    """Return the heatmaps [B, h, w] as float32.

    Args:
        heatmaps: Any real dtype.
        count: B, if known.

    Raises:
        ValueError: Their shape or number is wrong, or a value is not finite.
    """
    maps = np.asarray(heatmaps, np.float32)
    if maps.ndim != 3 or 0 in maps.shape:
        raise ValueError(
            f"`heatmaps` must be [B, h, w] and not empty. Received: shape {maps.shape}. For a "
            "single heatmap pass heatmaps[None]."
        )
    if count is not None and len(maps) != count:
        raise ValueError(
            f"There must be one heatmap per image. Received: {len(maps)} for {count} images."
        )
    if not np.isfinite(maps).all():
        raise ValueError("`heatmaps` must be finite. Received: NaN or infinity.")
    return maps


def at_size(heatmaps: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """Return heatmaps [B, H, W] float32 of this size, resized bilinearly if necessary."""
    if heatmaps.shape[1:] == tuple(size):
        return heatmaps
    return maps_of.enlarge(heatmaps, size).numpy()


def is_constant(maps: NDArray[Any]) -> NDArray[np.bool_]:
    """Return for each map [h, w] whether all its values are equal, [B]."""
    rows = maps.reshape(len(maps), -1)
    return rows.min(axis=1) == rows.max(axis=1)


def rank_by_heat(heatmaps: NDArray[np.float32], seed: int) -> NDArray[np.int64]:
    """Return each pixel's rank by heat, [B, h, w] from 0 (hottest) to h * w - 1.

    Args:
        heatmaps: [B, h, w].
        seed: Seed of the random order of equally hot pixels, the same for all heatmaps.
    """
    rows = heatmaps.reshape(len(heatmaps), -1)
    shuffled = np.random.default_rng(seed).permutation(rows.shape[1])
    hottest_first = shuffled[np.argsort(-rows[:, shuffled], axis=1, kind="stable")]
    ranks = np.empty(rows.shape, np.int64)
    np.put_along_axis(ranks, hottest_first, np.arange(rows.shape[1])[np.newaxis], axis=1)
    return ranks.reshape(heatmaps.shape)
