"""Confidence intervals of shares, of weighted means of shares, and of the smallest of some."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from proxy_keras.io.extras import extra

Interval = tuple[float, float]
"""Lower and upper bound at 95%, in [0, 1]."""

_TAIL = 0.025


def wilson_bounds(
    hits: ArrayLike, images: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the lower and the upper bounds of Wilson's intervals of `hits / images`.

    They also hold where all images agree, e.g. 8 of 8 correct. Without images: 0 and 1.

    Args:
        hits: [...] integers.
        images: [...] integers, >= `hits`.

    Returns:
        Two arrays [...] float64, in [0, 1].

    Source: Wilson, Probable inference, the law of succession, and statistical inference (1927).
    """
    counts, right = np.asarray(images, np.float64), np.asarray(hits, np.float64)
    z = NormalDist().inv_cdf(1.0 - _TAIL)
    shares = right / np.maximum(counts, 1.0)
    centres = (right + z**2 / 2.0) / (counts + z**2)
    halves = z * np.sqrt(counts * shares * (1.0 - shares) + z**2 / 4.0) / (counts + z**2)
    # Rounding would leave them beside 0 and 1.
    low = np.where(right == 0, 0.0, centres - halves)
    high = np.where(right == counts, 1.0, centres + halves)
    return np.clip(low, 0.0, 1.0), np.clip(high, 0.0, 1.0)


def weighted_mean_interval(
    hits: ArrayLike, images: ArrayLike, weights: ArrayLike
) -> tuple[float, Interval]:
    """Return a weighted mean of independent shares and its interval, from Wilson's of each.

    Args:
        hits: [G] integers.
        images: [G] integers, >= 1 where the weight is not 0.
        weights: [G] >= 0, with a sum of 1.

    Source: Zou, Huang and Zhang, A note on confidence interval estimation for a linear function of
    binomial proportions (2009).
    """
    used = np.asarray(weights, np.float64)
    counts, right = np.asarray(images, np.float64), np.asarray(hits, np.float64)
    shares = right / np.maximum(counts, 1.0)
    low, high = wilson_bounds(right, counts)
    mean = float((used * shares).sum())
    below = float(np.sqrt((used**2 * (shares - low) ** 2).sum()))
    above = float(np.sqrt((used**2 * (high - shares) ** 2).sum()))
    return mean, (max(mean - below, 0.0), min(mean + above, 1.0))


def smallest_share_interval(hits: ArrayLike, images: ArrayLike) -> Interval:
    """Return an interval of the smallest of some independent true shares; it holds in >= 95%.

    Which share is the smallest is chosen by the data, so the interval of that share alone would be
    too low. The true smallest share is at least the lower bound of its own group, and so at least
    the smallest of the lower bounds. It is at most each of the true shares, and so at most the
    smallest of the upper bounds if all of these hold at once: they are corrected for the number of
    groups after Sidak. The bounds are exact ones, because those of Wilson fail too often on one
    side where groups of a dozen images are nearly all correct.

    Args:
        hits: [G] integers, G >= 1.
        images: [G] integers, >= 1.

    Source: Clopper and Pearson, The use of confidence or fiducial limits (1934), for the bounds;
    Sidak, Rectangular confidence regions for the means of multivariate normal distributions (1967).
    """
    with extra("train"):
        from scipy.special import betaincinv

    right, counts = np.asarray(hits), np.asarray(images)
    wrong = counts - right
    upper_tail = 1.0 - (1.0 - _TAIL) ** (1.0 / right.size)
    low = np.where(right == 0, 0.0, betaincinv(np.maximum(right, 1), wrong + 1, _TAIL))
    high = np.where(wrong == 0, 1.0, betaincinv(right + 1, np.maximum(wrong, 1), 1.0 - upper_tail))
    return float(low.min()), float(high.min())
