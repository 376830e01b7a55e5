"""Calibration of a classifier's probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from proxy_keras.evaluating.bootstrap import Statistic
from proxy_keras.evaluating.bootstrap_statistics import counts_by_row

BINS = 15


@dataclass(frozen=True)
class Calibration:
    """Calibration errors and the bins behind them.

    The b bins split the confidence (probability of the predicted class) into equal widths over
    [0, 1]; all but the first exclude their lower edge and include their upper edge.

    Attributes:
        ece: Expected calibration error, in [0, 1]: mean gap between confidence and accuracy of the
            bins, weighted by their images. Chance alone makes it positive, more so with few images.
        mce: Maximum calibration error, in [0, 1]: the largest gap of a bin; can be large by chance
            in a bin with few images.
        brier: Mean over images of the summed squared errors of all K probabilities, in [0, 2], or
            in [0, K] for independent classes.
        nll: Mean negative log-likelihood of the true class, nats; for independent classes, also of
            the absence of the others.
        mean_confidence: Mean probability of the predicted class, in [0, 1].
        edges: [b + 1] edges of the bins.
        counts: [b] images in each bin.
        confidence: [b] mean confidence in each bin; NaN if empty.
        accuracy: [b] accuracy in each bin; NaN if empty.

    Source: Guo et al., On Calibration of Modern Neural Networks (ICML 2017), section 2; Brier,
    Verification of forecasts expressed in terms of probability (1950).
    """

    ece: float
    mce: float
    brier: float
    nll: float
    mean_confidence: float
    edges: NDArray[np.float64]
    counts: NDArray[np.int64]
    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        probabilities: ArrayLike,
        labels: ArrayLike,
        *,
        bins: int = BINS,
        is_multi_label: bool = False,
    ) -> Calibration:
        """Compute the calibration of probabilities.

        Args:
            probabilities: [N, K] in [0, 1]; each row sums to 1.
            labels: [N] true class ids, in [0, K).
            bins: Number of bins, >= 1.
            is_multi_label: The classes are independent, and rows need not sum to 1.

        Raises:
            ValueError: An argument has the wrong shape or is out of range.
        """
        given, ids = _checked(probabilities, labels, is_multi_label)
        if bins < 1:
            raise ValueError(f"`bins` must be >= 1. Received: {bins}")
        top, right = given.max(axis=1), given.argmax(axis=1) == ids
        counts, confidence, accuracy = _bins(top, right, bins)
        gaps = np.abs(confidence - accuracy)
        return cls(
            ece=float(np.nansum(gaps * counts) / len(ids)),
            mce=float(np.nanmax(gaps)),
            brier=float(brier_scores(given, ids).mean()),
            nll=float(negative_log_likelihoods(given, ids, is_multi_label=is_multi_label).mean()),
            mean_confidence=float(top.mean()),
            edges=np.linspace(0.0, 1.0, bins + 1),
            counts=counts,
            confidence=confidence,
            accuracy=accuracy,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the calibration as JSON values; the means of an empty bin are None."""
        rows = zip(
            self.edges[:-1].tolist(),
            self.edges[1:].tolist(),
            self.counts.tolist(),
            self.confidence.tolist(),
            self.accuracy.tolist(),
            strict=True,
        )
        return {
            "ece": self.ece,
            "mce": self.mce,
            "brier": self.brier,
            "nll": self.nll,
            "mean_confidence": self.mean_confidence,
            "bins": [
                {
                    "low": low,
                    "high": high,
                    "count": count,
                    "confidence": confidence if count else None,
                    "accuracy": accuracy if count else None,
                }
                for low, high, count, confidence, accuracy in rows
            ],
        }


def brier_scores(
    probabilities: NDArray[np.float64], labels: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the summed squared errors of each image's probabilities [N, K]: [N] in [0, K]."""
    errors = np.array(probabilities, np.float64)
    errors[np.arange(len(labels)), labels] -= 1.0
    return np.square(errors).sum(axis=1)


def negative_log_likelihoods(
    probabilities: NDArray[np.float64],
    labels: NDArray[np.int64],
    *,
    is_multi_label: bool = False,
) -> NDArray[np.float64]:
    """Return the negative log-likelihood of each image's true class, [N] nats, at most about 745.

    For independent classes, the absence of the others is added. A probability that was rounded to
    0 counts as the smallest positive number.
    """
    given, rows = np.asarray(probabilities, np.float64), np.arange(len(labels))
    smallest = np.nextafter(0.0, 1.0)
    losses = -np.log(np.maximum(given[rows, labels], smallest))
    if not is_multi_label:
        return losses
    absent = np.maximum(1.0 - given, smallest)
    absent[rows, labels] = 1.0
    return losses - np.log(absent).sum(axis=1)


def ece_statistic(
    probabilities: ArrayLike,
    labels: ArrayLike,
    *,
    bins: int = BINS,
    is_multi_label: bool = False,
) -> Statistic:
    """Return the expected calibration error as a statistic for `Bootstrap`; see `Calibration.of`.

    Samples have fewer different images, hence a larger error than all images. Intervals correct
    most of this bias, but not all of it. The Brier score has no such bias.
    """
    given, ids = _checked(probabilities, labels, is_multi_label)
    top, right = given.max(axis=1), given.argmax(axis=1) == ids
    bin_ids, surplus = _bin_of(top, bins), top - right

    def statistic(indices: NDArray[np.int64]) -> NDArray[np.float64]:
        sums = counts_by_row(bin_ids[indices], bins, surplus[indices])
        return np.abs(sums).sum(axis=1) / indices.shape[1]

    return statistic


def _bin_of(confidence: NDArray[np.float64], bins: int) -> NDArray[np.int64]:
    return np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)


def _bins(
    top: NDArray[np.float64], right: NDArray[np.bool_], bins: int
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the images, the mean confidence and the accuracy of each bin, [b] each."""
    bin_ids = _bin_of(top, bins)
    counts = np.bincount(bin_ids, minlength=bins)
    with np.errstate(invalid="ignore"):
        confidence, accuracy = (
            np.bincount(bin_ids, weights=values, minlength=bins) / counts for values in (top, right)
        )
    return counts, confidence, accuracy


def _checked(
    probabilities: ArrayLike, labels: ArrayLike, is_multi_label: bool
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    given, ids = np.asarray(probabilities, np.float64), np.asarray(labels)
    if given.ndim != 2 or 0 in given.shape or ids.shape != given.shape[:1]:
        raise ValueError(
            "`probabilities` must be [N, K] and `labels` [N], with N, K > 0. Received: "
            f"{list(given.shape)} and {list(ids.shape)}"
        )
    if not (np.isfinite(given).all() and given.min() >= 0.0 and given.max() <= 1.0 + 1e-6):
        raise ValueError(
            "`probabilities` must be in [0, 1]. Received: values outside. Apply a softmax to "
            "logits first."
        )
    if not is_multi_label and np.abs(given.sum(axis=1) - 1.0).max() > 1e-3:
        raise ValueError(
            "Each row of `probabilities` must sum to 1. Received: a row that does not. Apply a "
            "softmax to logits first."
        )
    if not np.issubdtype(ids.dtype, np.integer) or ids.min() < 0 or ids.max() >= given.shape[1]:
        raise ValueError(f"`labels` must be integers in [0, {given.shape[1]}).")
    return given, ids.astype(np.int64)
