"""Checks arrays of heatmaps, enlarges them to an image's size, and ranks their pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from proxy_keras.heatmaps import scaling as maps_of


def checked_heatmaps(heatmaps: Any, count: int | None = None) -> NDArray[np.float32]:
    """Heatmaps [B, h, w] float32.

    Args:
        heatmaps: Any real dtype.
        count: B, if it is known.

    Raises:
        ValueError: They have another shape or number, or values that are not finite.
    """
    maps = np.asarray(heatmaps, np.float32)
    if maps.ndim != 3 or 0 in maps.shape:
        raise ValueError(
            f"`heatmaps` must be [B, h, w], none of them 0. Received: shape {maps.shape}. For a "
            "single heatmap pass heatmaps[None]."
        )
    if count is not None and len(maps) != count:
        raise ValueError(
            f"There must be one heatmap per image. Received: {len(maps)} for {count} images."
        )
    if not np.isfinite(maps).all():
        raise ValueError("`heatmaps` must be finite. Received: values that are not.")
    return maps


def at_size(heatmaps: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """Heatmaps [B, H, W] float32 of the size (H, W), enlarged bilinearly where they differ."""
    if heatmaps.shape[1:] == tuple(size):
        return heatmaps
    return maps_of.enlarge(heatmaps, size).numpy()


def is_constant(maps: NDArray[Any]) -> NDArray[np.bool_]:
    """[B] whether a map [h, w] has the same value everywhere."""
    rows = maps.reshape(len(maps), -1)
    return rows.min(axis=1) == rows.max(axis=1)


def order_by_heat(heatmaps: NDArray[np.float32], seed: int) -> NDArray[np.int64]:
    """The place of each pixel when the hottest come first, [B, h, w] from 0 to h * w - 1.

    Args:
        heatmaps: [B, h, w].
        seed: Pixels of the same heat come in a random order, the same for all heatmaps; so a blank
            map orders its pixels at random.
    """
    rows = heatmaps.reshape(len(heatmaps), -1)
    shuffled = np.random.default_rng(seed).permutation(rows.shape[1])
    hottest_first = shuffled[np.argsort(-rows[:, shuffled], axis=1, kind="stable")]
    places = np.empty(rows.shape, np.int64)
    np.put_along_axis(places, hottest_first, np.arange(rows.shape[1])[np.newaxis], axis=1)
    return places.reshape(heatmaps.shape)
