"""Where a model fails: pairs that it confuses, its surest errors, heat off the object."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from proxy_keras.evaluating.predictions import Predictions


@dataclass(frozen=True)
class ConfusedPair:
    """How often one class is taken for another.

    Attributes:
        true: Class id of the images.
        predicted: Class id that was answered.
        images: How often.
        share: Of the images of the true class, in (0, 1].
    """

    true: int
    predicted: int
    images: int
    share: float


def confused_pairs(confusion: NDArray[np.int64], most: int = 10) -> list[ConfusedPair]:
    """The pairs with most errors; of equally many, those with the higher share of their class.

    Args:
        confusion: [K, K] counts: row the true class, column the predicted one.
        most: Pairs at most.
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
    """Positions of the wrong answers, the surest first."""
    wrong = np.flatnonzero(~predictions.is_right)
    order = np.argsort(-predictions.confidence[wrong], kind="stable")
    return wrong[order][:most]


def heat_outside(
    inside: NDArray[np.float64], area: NDArray[np.float64], most: int = 12
) -> NDArray[np.int64]:
    """Places of the images whose heat avoids the object, the most of it first.

    Args:
        inside: [n] the share of each image's heat that lies on its object; NaN: not known.
        area: [n] the share of each image's pixels that the object takes.
        most: Places at most.

    Returns:
        Places in `inside`, of images with less heat on the object than even heat would put there.
    """
    known = np.flatnonzero(np.isfinite(inside))
    surplus = inside[known] - area[known]
    order = np.argsort(surplus, kind="stable")
    return known[order][surplus[order] < 0][:most]
