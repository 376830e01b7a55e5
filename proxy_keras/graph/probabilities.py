"""Probabilities and losses of logits, of one class per image or of independent classes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def probabilities_of(logits: NDArray[np.floating], *, is_multi_label: bool) -> NDArray[np.float64]:
    """Return probabilities [N, K] of logits [N, K].

    Args:
        logits: [N, K].
        is_multi_label: Each class has a sigmoid of its own; else a softmax over the classes.
    """
    values = np.asarray(logits, np.float64)
    if is_multi_label:
        return np.exp(-np.logaddexp(0.0, -values))
    return np.exp(log_softmax(values))


def cross_entropies(
    logits: NDArray[np.floating], labels: NDArray[np.integer], *, is_multi_label: bool
) -> NDArray[np.float64]:
    """Return the negative log-likelihood of each image's true class, [N] nats.

    Args:
        logits: [N, K].
        labels: [N] class ids.
        is_multi_label: The sum of K binary cross-entropies: the true class is there, and the
            others are not.
    """
    values, rows = np.asarray(logits, np.float64), np.arange(len(labels))
    if not is_multi_label:
        return -log_softmax(values)[rows, labels]
    values = values.copy()
    values[rows, labels] *= -1.0
    return np.logaddexp(0.0, values).sum(axis=1)


def log_softmax(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the logarithm of the softmax of logits [N, K]."""
    shifted = np.asarray(logits, np.float64) - np.max(logits, axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
