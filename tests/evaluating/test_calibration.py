"""Calibration equals counts by hand, is bounded, and is near 0 for calibrated probabilities."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.metrics import brier_score_loss, log_loss

from proxy_keras.evaluating.bootstrap import Bootstrap
from proxy_keras.evaluating.calibration import (
    BINS,
    Calibration,
    brier_scores,
    ece_statistic,
    negative_log_likelihoods,
)


def test_counted_by_hand():
    top = np.array([0.9, 0.9, 0.6, 0.6])
    found = Calibration.of(np.stack([top, 1 - top], axis=1), [0, 1, 0, 0], bins=5)
    # (0.4, 0.6]: confidence 0.6, all correct. (0.8, 1]: confidence 0.9, half correct.
    assert found.counts.tolist() == [0, 0, 2, 0, 2]
    assert found.ece == pytest.approx((0.4 + 0.4) / 2) and found.mce == pytest.approx(0.4)
    assert found.brier == pytest.approx((0.02 + 1.62 + 0.32 + 0.32) / 4)
    assert found.nll == pytest.approx(-np.log([0.9, 0.1, 0.6, 0.6]).mean())
    assert found.mean_confidence == pytest.approx(0.75)
    bins = found.to_dict()["bins"]
    assert bins[0] == {"low": 0.0, "high": 0.2, "count": 0, "confidence": None, "accuracy": None}
    assert bins[4]["confidence"] == pytest.approx(0.9) and bins[4]["accuracy"] == 0.5


def test_certain_answers_fall_into_the_last_bin():
    right, wrong = (Calibration.of(np.eye(3), labels) for labels in ([0, 1, 2], [1, 2, 0]))
    assert right.counts[-1] == wrong.counts[-1] == 3
    assert (right.ece, right.mce, right.brier, right.nll) == (0.0, 0.0, 0.0, 0.0)
    assert (wrong.ece, wrong.mce, wrong.brier) == (1.0, 1.0, 2.0) and np.isfinite(wrong.nll)


probabilities = arrays.arrays(
    np.float64, st.tuples(st.integers(1, 30), st.integers(2, 6)), elements=st.floats(0.01, 1.0)
).map(lambda weights: weights / weights.sum(axis=1, keepdims=True))


@settings(max_examples=60, deadline=None)
@given(probabilities, st.integers(0, 9999))
def test_bounds_and_what_other_definitions_say(given_ones, seed):
    n, k = given_ones.shape
    labels = np.random.default_rng(seed).integers(k, size=n)
    found = Calibration.of(given_ones, labels)
    right = given_ones.argmax(axis=1) == labels
    assert 0 <= found.ece <= found.mce + 1e-12 and found.mce <= 1 and 0 <= found.brier <= 2
    assert found.counts.sum() == n and len(found.counts) == BINS
    # The gap of the means is a mean of signed gaps, so at most the mean of absolute gaps.
    assert abs(found.mean_confidence - right.mean()) <= found.ece + 1e-12
    filled = found.counts > 0
    low, high = found.edges[:-1][filled], found.edges[1:][filled]
    assert (low - 1e-12 <= found.confidence[filled]).all()
    assert (found.confidence[filled] <= high + 1e-12).all()
    assert found.nll == pytest.approx(log_loss(labels, given_ones, labels=range(k)))
    assert found.nll == pytest.approx(negative_log_likelihoods(given_ones, labels).mean())
    expected = brier_score_loss(labels, given_ones, labels=range(k), scale_by_half=False)
    assert found.brier == pytest.approx(expected)
    everything = np.arange(n)[np.newaxis]
    assert ece_statistic(given_ones, labels)(everything) == pytest.approx([found.ece])
    order = np.random.default_rng(seed).permutation(n)
    assert Calibration.of(given_ones[order], labels[order]).ece == pytest.approx(found.ece)


def planted(images, surplus):
    """Return probabilities of ten classes that are overconfident by `surplus`."""
    draw = np.random.default_rng(2)
    confidence = draw.uniform(0.5, 1.0, images)
    given_ones = np.repeat((1 - confidence)[:, None] / 9, 10, axis=1)
    answers = draw.integers(10, size=images)
    given_ones[np.arange(images), answers] = confidence
    is_right = draw.random(images) < confidence - surplus
    return given_ones, np.where(is_right, answers, (answers + draw.integers(1, 10, images)) % 10)


def test_a_calibrated_model_has_no_error_in_expectation_and_a_too_sure_one_has_its_own():
    assert Calibration.of(*planted(200_000, 0.0)).ece < 0.004
    too_sure = Calibration.of(*planted(200_000, 0.2))
    assert too_sure.ece == pytest.approx(0.2, abs=0.004)
    assert too_sure.mce == pytest.approx(0.2, abs=0.02)


def test_a_bootstrap_tells_the_calibrated_from_the_too_sure():
    calibrated, too_sure = (ece_statistic(*planted(600, surplus)) for surplus in (0.0, 0.2))
    found = Bootstrap(600, resamples=500).difference(too_sure, calibrated)
    assert found.low > 0.05 and found.high < 0.25
    briers = [brier_scores(*planted(600, surplus)).mean() for surplus in (0.0, 0.2)]
    assert briers[0] < briers[1]


@pytest.mark.parametrize(
    ("given_ones", "labels", "message"),
    [
        ([0.5, 0.5], [0], "must be"),
        ([[0.5, 0.5]], [0, 1], "must be"),
        ([[1.5, -0.5]], [0], r"in \[0, 1\]"),
        ([[np.nan, 1.0]], [0], r"in \[0, 1\]"),
        ([[0.2, 0.2]], [0], "sum to 1"),
        ([[0.5, 0.5]], [2], "integers in"),
        ([[0.5, 0.5]], [0.0], "integers in"),
    ],
)
def test_what_is_no_probability_is_refused(given_ones, labels, message):
    with pytest.raises(ValueError, match=message):
        Calibration.of(given_ones, labels)


def test_independent_classes_need_not_sum_to_1():
    found = Calibration.of([[0.9, 0.4], [0.2, 0.1]], [0, 1], bins=2, is_multi_label=True)
    assert found.mean_confidence == pytest.approx(0.55)
    assert found.counts.tolist() == [1, 1]
    # The prediction with 0.9 is right, the one with 0.2 is wrong.
    assert found.ece == pytest.approx((0.1 + 0.2) / 2)
    assert found.brier == pytest.approx((0.1**2 + 0.4**2 + 0.2**2 + 0.9**2) / 2)
    assert found.nll == pytest.approx(-np.log([0.9 * 0.6, 0.1 * 0.8]).mean())


def test_no_bins_are_refused():
    with pytest.raises(ValueError, match="`bins`"):
        Calibration.of([[0.5, 0.5]], [0], bins=0)
