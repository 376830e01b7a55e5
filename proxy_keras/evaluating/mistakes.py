"""Errors of a model: confused classes, most confident errors, heat off the object."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from proxy_keras.evaluating.predictions import Predictions


@dataclass(frozen=True)
class ConfusedPair:
    """Number of images of one class that are classified as another.

    Attributes:
        true: True class id.
        predicted: Predicted class id.
        images: Number of images.
        share: Share of the images of the true class, in (0, 1].
    """

    true: int
    predicted: int
    images: int
    share: float


def confused_pairs(confusion: NDArray[np.int64], most: int = 10) -> list[ConfusedPair]:
    """Return the most confused pairs; ties are ordered by their share of the class.

    Args:
        confusion: [K, K] counts; rows are true classes, columns predicted classes.
        most: Maximum number of pairs.
    """
    totals = confusion.sum(axis=1)
    pairs = [
        ConfusedPair(
            true, predicted, count := int(confusion[true, predicted]), count / totals[true]
        )
        for true, predicted in np.argwhere(confusion > 0).tolist()
        if true != predicted
    ]
    return sorted(pairs, key=lambda p: (-p.images, -p.share, p.true, p.predicted))[:most]


def worst_mistakes(predictions: Predictions, most: int = 12) -> NDArray[np.int64]:
    """Return the positions of wrong predictions, most confident first."""
    wrong = np.flatnonzero(~predictions.is_right)
    order = np.argsort(-predictions.confidence[wrong], kind="stable")
    return wrong[order][:most]


def heat_outside(
    inside: NDArray[np.float64], area: NDArray[np.float64], most: int = 12
) -> NDArray[np.int64]:
    """Return the images with less heat on the object than uniform heat, worst first.

    Args:
        inside: [n] share of each image's heat on its object; NaN if unknown.
        area: [n] share of each image that the object covers.
        most: Maximum number of images.

    Returns:
        Indices into `inside`.
    """
    known = np.flatnonzero(np.isfinite(inside))
    surplus = inside[known] - area[known]
    order = np.argsort(surplus, kind="stable")
    return known[order][surplus[order] < 0][:most]
