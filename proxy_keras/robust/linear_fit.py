"""Multinomial logistic regression with example weights and an L1 or L2 penalty."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from proxy_keras.io.extras import extra

_MOST_ITERATIONS = 2000
_TOLERANCE = 1e-6
"""Largest slope at the solution; the losses are averages."""


@dataclass(frozen=True)
class LinearClassifier:
    """A linear map from features to logits.

    Attributes:
        kernel: [D, K] float64.
        bias: [K] float64.
        is_converged: Whether the fit ended at a minimum, and not at its limit of iterations.
    """

    kernel: NDArray[np.float64]
    bias: NDArray[np.float64]
    is_converged: bool = True

    def logits(self, features: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the logits [N, K] of features [N, D]."""
        return np.asarray(features, np.float64) @ self.kernel + self.bias


@dataclass(frozen=True)
class Scaling:
    """The means and standard deviations by which features are scaled before a fit.

    Attributes:
        mean: [D] float64.
        deviation: [D] float64, 1 where a feature is constant.
    """

    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]

    @classmethod
    def of(cls, features: NDArray[np.floating]) -> Scaling:
        """Return the scaling that gives features [N, D] mean 0 and standard deviation 1."""
        values = np.asarray(features, np.float64)
        deviation = values.std(axis=0)
        return cls(values.mean(axis=0), np.where(deviation > 0.0, deviation, 1.0))

    def __call__(self, features: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the scaled features [N, D]."""
        return (np.asarray(features, np.float64) - self.mean) / self.deviation

    def undone(self, classifier: LinearClassifier) -> LinearClassifier:
        """Return a classifier of scaled features as one of unscaled features."""
        kernel = classifier.kernel / self.deviation[:, np.newaxis]
        return LinearClassifier(
            kernel, classifier.bias - self.mean @ kernel, classifier.is_converged
        )


def fit_linear(
    features: NDArray[np.floating],
    labels: NDArray[np.integer],
    weights: NDArray[np.floating],
    *,
    num_classes: int,
    l1: float = 0.0,
    l2: float = 0.0,
) -> LinearClassifier:
    """Fit multinomial logistic regression.

    Minimises the mean of the cross-entropies, weighted, plus `l1` times the sum of the kernel's
    magnitudes, plus half of `l2` times the sum of its squares. Biases are not penalised. The start
    is 0, so that the same data give the same result.

    Args:
        features: [N, D], scaled alike.
        labels: [N] class ids.
        weights: [N], >= 0, of any positive sum.
        num_classes: K.
        l1: >= 0.
        l2: >= 0.

    Raises:
        ValueError: A class has no example with a weight > 0: its bias would be minus infinity.
    """
    with extra("train"):
        from scipy.optimize import minimize
        from threadpoolctl import threadpool_limits
    values = np.asarray(features, np.float64)
    shares = np.asarray(weights, np.float64) / np.sum(weights)
    targets = np.eye(num_classes)[labels]
    if np.any(absent := shares @ targets == 0.0):
        raise ValueError(
            "The last layer can only be refitted on images of every class. Received: none of the "
            f"class ids {np.flatnonzero(absent).tolist()}."
        )
    size = values.shape[1] * num_classes

    def objective(packed: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        kernel = packed[:size].reshape(-1, num_classes)
        if l1 > 0.0:
            kernel = kernel - packed[size : 2 * size].reshape(-1, num_classes)
        logits = values @ kernel + packed[-num_classes:]
        logits -= logits.max(axis=1, keepdims=True)
        log_sums = np.log(np.exp(logits).sum(axis=1, keepdims=True))
        loss = shares @ (log_sums[:, 0] - (logits * targets).sum(axis=1))
        errors = shares[:, np.newaxis] * (np.exp(logits - log_sums) - targets)
        slope = (values.T @ errors + l2 * kernel).ravel()
        slopes = [slope + l1, l1 - slope] if l1 > 0.0 else [slope]
        penalty = l1 * packed[:-num_classes].sum() if l1 > 0.0 else 0.0
        total = loss + penalty + 0.5 * l2 * np.square(kernel).sum()
        return float(total), np.concatenate([*slopes, errors.sum(axis=0)])

    # With an L1 penalty, the kernel is the difference of two that are >= 0: the magnitudes are
    # then their sums, and the objective is smooth.
    parts = 2 if l1 > 0.0 else 1
    bounds = [(0.0, None)] * (2 * size) + [(None, None)] * num_classes if l1 > 0.0 else None
    options = {"maxiter": _MOST_ITERATIONS, "maxfun": 2 * _MOST_ITERATIONS, "gtol": _TOLERANCE}
    # The products are small: threads cost more than they save where others run, and another number
    # of them rounds differently.
    with threadpool_limits(1, user_api="blas"):
        found = minimize(
            objective,
            np.zeros([parts * size + num_classes]),
            jac=True,
            method="L-BFGS-B",
            bounds=bounds,
            options=options,
        )
    kernel = found.x[:size].reshape(-1, num_classes)
    if l1 > 0.0:
        kernel = kernel - found.x[size : 2 * size].reshape(-1, num_classes)
    return LinearClassifier(kernel, found.x[-num_classes:], bool(found.success))
