"""Statistics for `Bootstrap`: scores of many samples in one call."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from proxy_keras.evaluating.bootstrap import Bootstrap, Statistic


def mean_statistic(values: ArrayLike) -> Statistic:
    """Return the statistic that takes the mean of one value per image.

    Args:
        values: [n] numbers or bools, or [n, s] for s means at once.
    """
    given = np.asarray(values, np.float64)
    return lambda indices: given[indices].mean(axis=1)


def mean_difference(samples: Bootstrap, first: ArrayLike, second: ArrayLike) -> dict[str, Any]:
    """Return the mean of `first` [n] minus that of `second` with its interval as JSON values."""
    return samples.difference(mean_statistic(first), mean_statistic(second)).to_dict()


class ClassStatistics:
    """Macro-averaged precision, recall and F1, by scikit-learn's definitions.

    Args:
        labels: [n] true class ids, in [0, K).
        predicted: [n] predicted class ids.
        num_classes: K.
    """

    def __init__(self, labels: ArrayLike, predicted: ArrayLike, num_classes: int) -> None:
        self._labels = np.asarray(labels, np.int64)
        self._predicted = np.asarray(predicted, np.int64)
        self._right = np.where(self._labels == self._predicted, self._labels, num_classes)
        self._num_classes = num_classes

    def balanced_accuracy(self, indices: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the mean recall of the classes that have images in each sample, [r]."""
        images = self._count(self._labels, indices)
        recall = self._count(self._right, indices) / np.maximum(images, 1)
        return recall.sum(axis=1) / (images > 0).sum(axis=1)

    def macro_precision(self, indices: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the mean precision of the classes, [r]; 0 for a class that is never predicted."""
        return self._macro(self._count(self._predicted, indices), indices)

    def macro_recall(self, indices: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the mean recall of the classes, [r]; 0 for a class without images."""
        return self._macro(self._count(self._labels, indices), indices)

    def macro_f1(self, indices: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the mean F1 of the classes, [r]."""
        both = self._count(self._labels, indices) + self._count(self._predicted, indices)
        return 2 * self._macro(both, indices)

    def _macro(self, whole: NDArray[np.int64], indices: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the mean of hits / `whole` over the classes that occur in each sample, [r]."""
        occurs = self._count(self._labels, indices) + self._count(self._predicted, indices) > 0
        # Hits are 0 where `whole` is 0.
        shares = self._count(self._right, indices) / np.maximum(whole, 1)
        return shares.sum(axis=1) / occurs.sum(axis=1)

    def _count(self, ids: NDArray[np.int64], indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return how often each class occurs in each sample, [r, K]."""
        return counts_by_row(ids[indices], self._num_classes + 1)[:, :-1]


class GroupStatistics:
    """Measures of the accuracy by group, see `GroupAccuracy`.

    Args:
        group_ids: [n] in [-1, G); -1: unknown, left out.
        is_right: [n] bool, which images are correct.
        num_groups: G.
    """

    def __init__(self, group_ids: ArrayLike, is_right: ArrayLike, num_groups: int) -> None:
        # Unknown groups, and in the second array errors, count in a first column that is left out.
        self._groups = np.asarray(group_ids, np.int64) + 1
        self._right = np.where(np.asarray(is_right, bool), self._groups, 0)
        self._kinds = num_groups + 1

    def worst_group_accuracy(self, indices: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the lowest accuracy of the groups that have images in each sample, [r]."""
        accuracies = self._accuracies(indices)
        return np.where(np.isnan(accuracies), np.inf, accuracies).min(axis=1)

    def adjusted_average(self, shares: NDArray[np.float64]) -> Statistic:
        """Return the statistic of the mean accuracy weighted by the shares [G] of training.

        It is NaN for a sample that lacks a group.
        """
        used = np.flatnonzero(shares)
        return lambda indices: self._accuracies(indices)[:, used] @ shares[used]

    def _accuracies(self, indices: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the accuracy of each group in each sample, [r, G]; NaN without images."""
        images, right = (
            counts_by_row(ids[indices], self._kinds)[:, 1:] for ids in (self._groups, self._right)
        )
        return np.where(images > 0, right / np.maximum(images, 1), np.nan)


def counts_by_row(
    ids: NDArray[np.int64], kinds: int, weights: NDArray[np.float64] | None = None
) -> NDArray[Any]:
    """Count each id in each row, or sum its weights: [r, kinds].

    Args:
        ids: [r, n] in [0, kinds).
        kinds: Number of different ids.
        weights: [r, n]; None: 1 each.
    """
    rows = np.arange(len(ids))[:, np.newaxis] * kinds
    flat = None if weights is None else weights.ravel()
    counts = np.bincount((ids + rows).ravel(), weights=flat, minlength=len(ids) * kinds)
    return counts.reshape(len(ids), kinds)
