"""Validation images with the group shares of the training images."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from proxy_keras.data.groups import Groups

SMALLEST_DISTANCE = 0.05
"""Smallest total variation distance between the group shares of two splits that is reported."""

_SIGNIFICANCE = 0.001


def shares_differ(train: Groups, val: Groups) -> bool:
    """Return whether the groups have other shares in two splits than by chance.

    They have if the total variation distance of the shares is at least `SMALLEST_DISTANCE` and
    Pearson's chi-squared test rejects equal shares at 0.001. Unknown groups are left out.

    Source: Wilson and Hilferty, The distribution of chi-square (1931), for the p-value.
    """
    if not (train.is_known and val.is_known):
        return False
    counts = np.stack([train.counts, val.counts]).astype(np.float64)
    counts = counts[:, counts.any(axis=0)]
    images = counts.sum(axis=1, keepdims=True)
    freedom = counts.shape[1] - 1
    if freedom < 1:
        return False
    first, second = counts / images
    if np.abs(first - second).sum() / 2.0 < SMALLEST_DISTANCE:
        return False
    expected = images * counts.sum(axis=0) / counts.sum()
    statistic = float(((counts - expected) ** 2 / expected).sum())
    variance = 2.0 / (9.0 * freedom)
    z = ((statistic / freedom) ** (1.0 / 3.0) - (1.0 - variance)) / variance**0.5
    return z > NormalDist().inv_cdf(1.0 - _SIGNIFICANCE)


def positions_like_training(
    train: Groups, val: Groups, example_ids: Sequence[str], *, seed: int
) -> NDArray[np.int64]:
    """Choose the most validation images that have the group shares of the training images.

    Images whose group is unknown count as one more group. Groups without a training image are left
    out; those without a validation image cannot be matched, and the shares of the others are
    matched among themselves. Within a group, images are ordered by a hash of seed and example id.

    Args:
        train: The groups of the training images.
        val: The groups of the n validation images.
        example_ids: [n] their ids.
        seed: Keys the choice.

    Returns:
        [m] int64 positions in the validation split, ascending; each group has its share of m,
        rounded.

    Raises:
        ValueError: No group is known, or the splits have no group in common.
    """
    if not (train.is_known and val.is_known):
        raise ValueError(
            "Validation images can be matched to the training images only where their groups are "
            "known. Give groups (--groups FILE), or leave out --val-like-train."
        )
    available = _with_unknown(val).astype(np.float64)
    wanted = np.where(available > 0, _with_unknown(train), 0).astype(np.float64)
    if not wanted.any():
        raise ValueError(
            "The training and validation images have no group in common, so no validation images "
            "are like the training images. Check the groups, or leave out --val-like-train."
        )
    shares = wanted / wanted.sum()
    total = (available[shares > 0] / shares[shares > 0]).min()
    counts = np.minimum(np.rint(shares * total), available).astype(np.int64)
    chosen: list[int] = []
    for group, count in enumerate(counts.tolist(), start=-1):
        members = np.flatnonzero(val.ids == group).tolist()
        members.sort(key=lambda at: _hash(seed, example_ids[at]))
        chosen += members[:count]
    return np.array(sorted(chosen), np.int64)


def _with_unknown(groups: Groups) -> NDArray[np.int64]:
    """Return the number of images without a group, then that of each group: [1 + G]."""
    return np.concatenate([[groups.unknown], groups.counts])


def _hash(seed: int, example_id: str) -> bytes:
    return hashlib.sha256(f"{seed}:val_like_train:{example_id}".encode()).digest()
