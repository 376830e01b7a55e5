"""Intervals of proportions equal statsmodels' and published examples, and have coverage."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from proxy_keras.evaluating.proportions import (
    difference_interval,
    paired_difference_interval,
    share_interval,
)


def pairs(both: int, only_first: int, only_second: int, neither: int):
    """Return which images two models classify correctly, from the counts of each combination."""
    counts = [both, only_first, only_second, neither]
    return (np.repeat(which, counts) for which in ([1, 1, 0, 0], [1, 0, 1, 0]))


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 60), st.integers(1, 60), st.data())
def test_they_are_those_of_statsmodels(n, m, data):
    x, y = data.draw(st.integers(0, n)), data.draw(st.integers(0, m))
    assert share_interval(x, n) == pytest.approx(proportion_confint(x, n, method="wilson"))
    expected = confint_proportions_2indep(x, n, y, m, method="newcomb", compare="diff")
    found = difference_interval(np.arange(n) < x, np.arange(m) < y)
    assert found == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        # Examples of Newcombe (1998).
        ((36, 12, 2, 0), (0.0569, 0.3404)),
        ((20, 12, 2, 16), (0.0562, 0.3292)),
        ((36, 14, 0, 0), (0.1528, 0.4167)),
    ],
)
def test_paired_ones_are_the_published_ones(counts, expected):
    assert paired_difference_interval(*pairs(*counts)) == pytest.approx(expected, abs=1e-4)


def test_one_image_proves_nothing():
    assert share_interval(1, 1)[0] < 0.25
    assert paired_difference_interval([True], [False])[0] < 0
    assert difference_interval(np.arange(100) < 60, [False])[0] < 0


@pytest.mark.parametrize("few", [1, 2, 3, 5, 20])
def test_of_groups_that_do_not_differ_few_are_told_apart(few):
    draw = np.random.default_rng(few)
    right = draw.random((500, 100)) < 0.6
    ends = [difference_interval(row[few:], row[:few]) for row in right]
    assert np.mean([low > 0 or high < 0 for low, high in ends]) < 0.08


@pytest.mark.parametrize("images", [1, 4, 12, 40])
def test_of_models_that_do_not_differ_few_are_told_apart(images):
    draw = np.random.default_rng(images)
    hard = draw.random((500, images, 1))
    right = draw.random((500, images, 2)) < np.where(hard < 0.5, 0.9, 0.4)
    ends = [paired_difference_interval(row[:, 0], row[:, 1]) for row in right]
    assert np.mean([low > 0 or high < 0 for low, high in ends]) < 0.07
