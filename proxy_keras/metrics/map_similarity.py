"""Similarity of two heatmaps of the same image: rank correlation, SSIM, top-k intersection."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proxy_keras.io.extras import extra
from proxy_keras.metrics.heatmap_arrays import checked_heatmaps, is_constant


@dataclass(frozen=True)
class MapSimilarity:
    """The similarity of a batch of heatmaps before and after a change.

    Attributes:
        spearman: [B] in [-1, 1], rank correlation of the pixels.
        ssim: [B] in [-1, 1], structural similarity.
    """

    spearman: NDArray[np.float64]
    ssim: NDArray[np.float64]


def compare(first: Any, second: Any) -> MapSimilarity:
    """Compute rank correlation and structural similarity of heatmaps [B, h, w] in [0, 1]."""
    return MapSimilarity(spearman(first, second), ssim(first, second))


def spearman(first: Any, second: Any) -> NDArray[np.float64]:
    """Compute the rank correlation of each heatmap's pixels with those of its counterpart.

    Equal values share the mean of their ranks. The result is 0 if one map is constant, and 1 if
    both are, since nothing changed.

    Args:
        first: [B, h, w].
        second: The same shape.

    Returns:
        [B] float64 in [-1, 1].

    Raises:
        ValueError: The shapes differ, or a value is not finite.
    """
    with extra("evaluate"):
        from scipy.stats import rankdata

    first, second = _checked_pair(first, second)
    ranks = [rankdata(maps.reshape(len(maps), -1), axis=1) for maps in (first, second)]
    both_constant = is_constant(first) & is_constant(second)
    return np.where(both_constant, 1.0, pearson(*ranks))


def pearson(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Correlate each row of [B, n] with its counterpart, [B]; 0 where a row is constant."""
    varies = _varies(first) & _varies(second)
    first = first - first.mean(axis=1, keepdims=True)
    second = second - second.mean(axis=1, keepdims=True)
    # The root of the product, not the product of the roots, so a row with itself gives exactly 1.
    norms = np.sqrt(np.square(first).sum(axis=1) * np.square(second).sum(axis=1))
    products = (first * second).sum(axis=1)
    result = np.divide(products, norms, out=np.zeros_like(norms), where=varies & (norms > 0))
    return np.clip(result, -1.0, 1.0)


def _varies(rows: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return whether a row's values differ by more than rounding error, [B]."""
    spread = rows.max(axis=1) - rows.min(axis=1)
    return spread > 1e-12 * np.abs(rows).max(axis=1)


def ssim(first: Any, second: Any) -> NDArray[np.float64]:
    """Compute the structural similarity of each heatmap in [0, 1] and its counterpart.

    Computed at the heatmaps' resolution in windows of 7 x 7 cells, or of the largest odd side that
    fits; maps with fewer than 3 cells on a side are padded with their border.

    Arguments, result and errors as for `spearman`.

    Source: Wang et al., Image Quality Assessment: From Error Visibility to Structural Similarity
    (IEEE TIP 2004), as scikit-image computes it.
    """
    with extra("evaluate"):
        from skimage.metrics import structural_similarity

    first, second = _checked_pair(first, second)
    missing = [max(0, 3 - side) for side in first.shape[1:]]
    padding = [(0, 0), *((0, cells) for cells in missing)]
    first, second = (np.pad(maps, padding, mode="edge") for maps in (first, second))
    side = min(first.shape[1:])
    window = min(7, side - 1 + side % 2)
    return np.array(
        [
            structural_similarity(
                one.astype(np.float64), other.astype(np.float64), data_range=1.0, win_size=window
            )
            for one, other in zip(first, second, strict=True)
        ]
    )


def top_k_intersection(first: Any, second: Any, share: float = 0.1) -> NDArray[np.float64]:
    """Compute the share of each heatmap's hottest pixels that are also hottest in its counterpart.

    Args:
        first: [B, h, w].
        second: The same shape.
        share: The hottest share of the pixels, in (0, 1]; at least one pixel is taken.

    Returns:
        [B] float64 in [0, 1]. A constant map has no hottest pixels: 0, or 1 where both are
        constant.

    Raises:
        ValueError: As for `spearman`, or `share` is outside (0, 1].
    """
    if not 0.0 < share <= 1.0:
        raise ValueError(f"`share` must be in (0, 1]. Received: {share}")
    first, second = _checked_pair(first, second)
    # Rounded first: 0.1 * 30 = 3.0000000000000004 must not give 4.
    count = math.ceil(round(share * first[0].size, 9))
    hottest = [_hottest(maps, count) for maps in (first, second)]
    shared = (hottest[0] & hottest[1]).sum(axis=1) / count
    constant = [is_constant(maps) for maps in (first, second)]
    return np.where(
        constant[0] | constant[1], np.where(constant[0] & constant[1], 1.0, 0.0), shared
    )


def _hottest(maps: NDArray[np.float32], count: int) -> NDArray[np.bool_]:
    """Return a mask [B, n] of the `count` hottest pixels; of equal pixels the first count."""
    rows = maps.reshape(len(maps), -1)
    order = np.argsort(-rows, axis=1, kind="stable")[:, :count]
    is_hottest = np.zeros(rows.shape, bool)
    np.put_along_axis(is_hottest, order, True, axis=1)
    return is_hottest


def _checked_pair(first: Any, second: Any) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    first, second = checked_heatmaps(first), checked_heatmaps(second)
    if first.shape != second.shape:
        raise ValueError(
            "Heatmaps to compare must have the same shape. Received: "
            f"{first.shape} and {second.shape}. Resize them first."
        )
    return first, second
