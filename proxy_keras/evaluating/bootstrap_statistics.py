"""Scores of samples of images, as `Bootstrap` asks for them: many samples in one call."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from proxy_keras.evaluating.bootstrap import Statistic


def mean_statistic(values: ArrayLike) -> Statistic:
    """The mean of one value per image.

    Args:
        values: [n] numbers or bools, or [n, s] for s means at once.
    """
    given = np.asarray(values, np.float64)
    return lambda indices: given[indices].mean(axis=1)


class ClassStatistics:
    """Precision, recall and F1 of predicted classes, by scikit-learn's definitions.

    Args:
        labels: [n] the true class ids, in [0, K).
        predicted: [n] the predicted ones.
        num_classes: K.
    """

    def __init__(self, labels: ArrayLike, predicted: ArrayLike, num_classes: int) -> None:
        self._labels = np.asarray(labels, np.int64)
        self._predicted = np.asarray(predicted, np.int64)
        self._right = np.where(self._labels == self._predicted, self._labels, num_classes)
        self._num_classes = num_classes

    def macro_precision(self, indices: NDArray[np.int64]) -> NDArray[np.float64]:
        """[r] the mean of the classes' precision; 0 for a class that is never predicted."""
        return self._macro(self._count(self._predicted, indices), indices)

    def macro_recall(self, indices: NDArray[np.int64]) -> NDArray[np.float64]:
        """[r] the mean of the classes' recall; 0 for a class without images."""
        return self._macro(self._count(self._labels, indices), indices)

    def macro_f1(self, indices: NDArray[np.int64]) -> NDArray[np.float64]:
        """[r] the mean of the classes' F1."""
        both = self._count(self._labels, indices) + self._count(self._predicted, indices)
        return 2 * self._macro(both, indices)

    def _macro(self, whole: NDArray[np.int64], indices: NDArray[np.int64]) -> NDArray[np.float64]:
        """[r] the mean of hits over `whole`, of the classes that occur among the indices."""
        occurs = self._count(self._labels, indices) + self._count(self._predicted, indices) > 0
        # Where the whole is 0, so are the hits.
        shares = self._count(self._right, indices) / np.maximum(whole, 1)
        return shares.sum(axis=1) / occurs.sum(axis=1)

    def _count(self, ids: NDArray[np.int64], indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """[r, K] how often each class stands at the indices."""
        return counts_by_row(ids[indices], self._num_classes + 1)[:, :-1]


def counts_by_row(
    ids: NDArray[np.int64], kinds: int, weights: NDArray[np.float64] | None = None
) -> NDArray[Any]:
    """How often each id occurs in each row, or the sum of its weights: [r, kinds].

    Args:
        ids: [r, n] in [0, kinds).
        kinds: Number of different ids.
        weights: [r, n]; None: 1 each.
    """
    rows = np.arange(len(ids))[:, np.newaxis] * kinds
    flat = None if weights is None else weights.ravel()
    counts = np.bincount((ids + rows).ravel(), weights=flat, minlength=len(ids) * kinds)
    return counts.reshape(len(ids), kinds)
