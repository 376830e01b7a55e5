"""Intervals equal SciPy's, and hold as often as they promise."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from proxy_keras.metrics.proportion_intervals import (
    smallest_share_interval,
    weighted_mean_interval,
    wilson_bounds,
)


@pytest.mark.parametrize(("hits", "images"), [(0, 8), (8, 8), (3, 10), (1, 1), (497, 642)])
def test_wilson_is_scipys(hits, images):
    expected = binomtest(hits, images).proportion_ci(method="wilson")
    low, high = wilson_bounds(hits, images)
    assert (float(low), float(high)) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_without_images_anything_is_possible():
    assert [float(end) for end in wilson_bounds(0, 0)] == [0.0, 1.0]


def test_a_single_group_has_its_exact_interval():
    expected = binomtest(7, 10).proportion_ci(method="exact")
    assert smallest_share_interval([7], [10]) == pytest.approx((expected.low, expected.high))


def test_the_smallest_share_is_below_each_group_and_above_all_lower_bounds():
    hits, images = np.array([0, 12, 40]), np.array([3, 12, 50])
    low, high = smallest_share_interval(hits, images)
    assert low == 0.0
    ends = [binomtest(int(h), int(n)).proportion_ci(0.95, "exact") for h, n in zip(hits, images)]  # noqa: B905
    # Corrected for three groups, so not below the uncorrected bounds.
    assert min(end.high for end in ends) < high < 1.0
    assert smallest_share_interval([12, 12], [12, 12])[1] == 1.0


def test_a_weighted_mean_of_one_share_is_that_share():
    mean, interval = weighted_mean_interval([3, 9], [10, 10], [1.0, 0.0])
    assert mean == pytest.approx(0.3)
    assert interval == pytest.approx([float(end) for end in wilson_bounds(3, 10)])
    mean, _ = weighted_mean_interval([5, 20], [10, 20], [0.25, 0.75])
    assert mean == pytest.approx(0.25 * 0.5 + 0.75)


# Accuracies and images by group: those of Waterbirds, equal groups, small ones, and nearly all
# correct.
PLANTED = [
    ([2255, 2255, 642, 642], [0.99, 0.75, 0.55, 0.95]),
    ([100] * 6, [0.7] * 6),
    ([40, 20, 12, 30], [0.8] * 4),
    ([40, 20, 12, 30], [0.97] * 4),
    ([400, 60, 12, 40], [0.95, 0.8, 0.5, 0.9]),
]


@pytest.mark.parametrize(("images", "accuracies"), PLANTED)
def test_intervals_hold_on_planted_accuracies(images, accuracies):
    draw = np.random.default_rng(1)
    counts, shares = np.array(images), np.array(accuracies)
    weights = counts / counts.sum()
    smallest = mean = 0
    for _ in range(2000):
        hits = draw.binomial(counts, shares)
        low, high = smallest_share_interval(hits, counts)
        smallest += low <= shares.min() <= high
        _, (low, high) = weighted_mean_interval(hits, counts, weights)
        mean += low <= float(weights @ shares) <= high
    # Those of the mean hold least, in 92%, where a dozen images are nearly all correct.
    assert smallest / 2000 >= 0.94 and mean / 2000 >= 0.91
