"""Just Train Twice: training that upweights what a briefly trained network gets wrong.

Source: Liu et al., Just Train Twice: Improving Group Robustness without Training Group Information
    (2021).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def error_set(logits: NDArray[np.floating], labels: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Return which examples are misclassified, [N], by logits [N, K] and class ids [N]."""
    return np.asarray(np.argmax(logits, axis=1) != labels)


def upweighted(is_error: NDArray[np.bool_], weight: float) -> NDArray[np.float32]:
    """Return the weights of the examples in the loss of the second training.

    Args:
        is_error: [N], the error set.
        weight: That of an error relative to another example, >= 1.

    Returns:
        [N] float32 with a mean of 1, so that the loss is the average over a set in which each error
        is repeated `weight` times.
    """
    weights = np.where(is_error, weight, 1.0)
    return np.asarray(weights / weights.mean(), np.float32)
