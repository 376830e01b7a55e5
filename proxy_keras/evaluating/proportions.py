"""Confidence intervals of proportions, which also hold where a bootstrap has no spread."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from proxy_keras.metrics.proportion_intervals import wilson_bounds


def share_interval(hits: int, images: int) -> list[float]:
    """Return Wilson's 95% interval of `hits / images`: two numbers in [0, 1]."""
    low, high = wilson_bounds(hits, images)
    return [float(low), float(high)]


def difference_interval(mine: ArrayLike, theirs: ArrayLike) -> list[float]:
    """Return Newcombe's 95% interval of the first share minus the second, on different images.

    Args:
        mine, theirs: [n], [m] bool, n, m >= 1: which images are correct.

    Source: Newcombe, Interval estimation for the difference between independent proportions (1998),
    method 10.
    """
    return _interval(np.asarray(mine, bool), np.asarray(theirs, bool), correlation=0.0)


def paired_difference_interval(mine: ArrayLike, theirs: ArrayLike) -> list[float]:
    """Return Newcombe's 95% interval of the first share minus the second, on the same images.

    Args:
        mine, theirs: [n] bool, n >= 1: which images are correct for each.

    Source: Newcombe, Improved confidence intervals for the difference between binomial proportions
    based on paired data (1998), method 10.
    """
    first, second = np.asarray(mine, bool), np.asarray(theirs, bool)
    return _interval(first, second, correlation=_correlation(first, second))


def _interval(
    first: NDArray[np.bool_], second: NDArray[np.bool_], correlation: float
) -> list[float]:
    gap = float(first.mean() - second.mean())
    below, above = _arms(first)
    their_below, their_above = _arms(second)

    def length(one: float, two: float) -> float:
        return math.sqrt(max(one**2 - 2 * correlation * one * two + two**2, 0.0))

    return [gap - length(below, their_above), gap + length(above, their_below)]


def _arms(right: NDArray[np.bool_]) -> tuple[float, float]:
    """Return the distances from the share to the bounds of Wilson's interval."""
    share = float(right.mean())
    low, high = share_interval(int(right.sum()), len(right))
    return share - low, high - share


def _correlation(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    """Return the phi coefficient, with the source's continuity correction if it is positive."""
    both, neither = int((first & second).sum()), int((~first & ~second).sum())
    only_first, only_second = int((first & ~second).sum()), int((~first & second).sum())
    margins = math.prod(
        (both + only_first, neither + only_second, both + only_second, neither + only_first)
    )
    if not margins:
        return 0.0
    product = float(both * neither - only_first * only_second)
    if product > 0:
        product = max(product - len(first) / 2, 0.0)
    return product / math.sqrt(margins)
