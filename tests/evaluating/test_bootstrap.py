"""Bootstrap intervals have their nominal coverage and detect real differences."""

import time

import numpy as np
import pytest

from proxy_keras.evaluating.bootstrap import Bootstrap
from proxy_keras.evaluating.bootstrap_statistics import ClassStatistics, mean_statistic


def coverage(draw_sample, truth, *, difference=False, runs=800):
    """Return the share of simulated data sets whose interval covers the truth."""
    held = 0
    for run in range(runs):
        images, *statistics = draw_sample(np.random.default_rng(run))
        bootstrap = Bootstrap(images, seed=run, resamples=400)
        found = bootstrap.difference(*statistics) if difference else bootstrap.interval(*statistics)
        held += found.low <= truth <= found.high
    return held / runs


@pytest.mark.parametrize(("images", "rate"), [(60, 0.7), (150, 0.93)])
def test_intervals_of_an_accuracy_cover_it(images, rate):
    def sample(draw):
        return images, mean_statistic(draw.random(images) < rate)

    assert 0.92 <= coverage(sample, rate) <= 0.98


def test_intervals_of_paired_differences_cover_them():
    def sample(draw):
        hardness = draw.random(100)
        right = [0.8 * hardness + 0.2 * draw.random(100) < rate for rate in (0.75, 0.65)]
        return 100, *map(mean_statistic, right)

    # A sum of uniform ones on [0, 0.8] and [0, 0.2] grows by 1 / 0.8 between 0.2 and 0.8.
    assert 0.92 <= coverage(sample, 0.125, difference=True) <= 0.98


def answers(draw, images, shift):
    """Return labels and predictions of two models, with the same class probabilities."""
    labels = draw.integers(5, size=images)
    hardness = draw.random(images)
    others = (labels + draw.integers(1, 5, size=(2, images))) % 5
    rates = np.array([[0.8], [0.8 - shift]])
    return labels, np.where(0.7 * hardness + 0.3 * draw.random((2, images)) < rates, labels, others)


def f1_of(labels, predicted):
    return ClassStatistics(labels, predicted, 5).macro_f1


def test_intervals_of_macro_f1_differences_cover_them():
    labels, predicted = answers(np.random.default_rng(9), 200_000, 0.1)
    everything = np.arange(len(labels))[np.newaxis]
    best, other = (f1_of(labels, one)(everything)[0] for one in predicted)

    def sample(draw):
        labels, predicted = answers(draw, 120, 0.1)
        return 120, *(f1_of(labels, one) for one in predicted)

    assert 0.92 <= coverage(sample, best - other, difference=True, runs=400) <= 0.98


def test_a_planted_difference_is_found_and_pairing_makes_it_so():
    draw = np.random.default_rng(3)
    right = draw.random(400) < 0.7
    better = right.copy()
    better[np.flatnonzero(~right)[:15]] = True
    found = Bootstrap(400).difference(mean_statistic(better), mean_statistic(right))
    assert found.value == pytest.approx(15 / 400)
    assert 0 < found.low < found.value < found.high < 0.07
    apart = Bootstrap(400).interval(mean_statistic(right))
    assert found.high - found.low < (apart.high - apart.low) / 2


def test_no_difference_gives_an_interval_round_zero():
    labels, predicted = answers(np.random.default_rng(5), 300, 0.0)
    found = Bootstrap(300).difference(*(f1_of(labels, one) for one in predicted))
    assert found.low < 0 < found.high


def test_identical_models_differ_by_exactly_zero():
    labels, predicted = answers(np.random.default_rng(5), 300, 0.0)
    one, same = (f1_of(labels, predicted[0].copy()) for _ in range(2))
    found = Bootstrap(300).difference(one, same)
    assert (found.value, found.low, found.high) == (0.0, 0.0, 0.0)
    assert found.to_dict() == {"value": 0.0, "interval": [0.0, 0.0]}


def test_the_same_seed_gives_the_same_interval_however_many_are_drawn_at_once(monkeypatch):
    values = np.random.default_rng(0).normal(size=50)
    first = Bootstrap(50, seed=4).interval(mean_statistic(values))
    assert first == Bootstrap(50, seed=4).interval(mean_statistic(values))
    assert first != Bootstrap(50, seed=5).interval(mean_statistic(values))
    monkeypatch.setattr("proxy_keras.evaluating.bootstrap._AT_ONCE", 170)
    assert first == Bootstrap(50, seed=4).interval(mean_statistic(values))


def test_an_interval_is_close_to_the_theory_of_means():
    values = np.random.default_rng(1).normal(size=500)
    found = Bootstrap(500).interval(mean_statistic(values))
    half = 1.96 * values.std() / np.sqrt(500)
    assert found.ends == pytest.approx([values.mean() - half, values.mean() + half], abs=0.01)
    narrow = Bootstrap(500, confidence=0.5).interval(mean_statistic(values))
    assert (narrow.high - narrow.low) * 2.5 < found.high - found.low


def test_a_statistic_that_samples_overstate_is_put_right():
    values = np.random.default_rng(1).normal(size=400)
    error = values.std() / np.sqrt(400)

    def overstated(indices):
        is_sample = (indices != np.arange(400)).any(axis=1)
        return values[indices].mean(axis=1) + 0.3 * error * is_sample

    found = Bootstrap(400).interval(overstated)
    centre = values.mean() - 0.3 * error
    expected = [centre - 1.96 * error, centre + 1.96 * error]
    assert found.ends == pytest.approx(expected, abs=0.2 * error)


def test_samples_equal_to_the_score_are_on_either_side():
    # One of a hundred: its count in a sample is about Poisson(1), so 1 in 37% of samples.
    found = Bootstrap(100).interval(mean_statistic(np.arange(100) == 5))
    assert found.ends == [0.0, 0.04]


def test_many_statistics_at_once_have_the_intervals_of_each():
    values = np.random.default_rng(1).normal(size=(80, 3))
    together = Bootstrap(80).interval(mean_statistic(values))
    assert together.value.shape == together.low.shape == (3,)
    for column in range(3):
        alone = Bootstrap(80).interval(mean_statistic(values[:, column]))
        assert together.ends[column] == pytest.approx(alone.ends)
    assert together.to_dict()["interval"] == together.ends


def test_samples_without_the_score_are_left_out():
    values = np.array([[2.0, 3.0, np.nan]] + [[1.0, np.nan, np.nan]] * 30)

    def means(indices):
        picked, is_there = values[indices], np.isfinite(values[indices])
        count = is_there.sum(axis=1)
        total = np.where(is_there, picked, 0.0).sum(axis=1)
        return np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0)

    found = Bootstrap(31).interval(means)
    assert found.value[:2] == pytest.approx([32 / 31, 3.0]) and np.isnan(found.value[2])
    assert found.ends[1] == [3.0, 3.0] and np.isnan(found.ends[2]).all()


def test_two_thousand_images_take_under_a_second():
    draw = np.random.default_rng(0)
    labels, predicted = draw.integers(10, size=(2, 2000))
    statistic = ClassStatistics(labels, predicted, 10).macro_f1
    start = time.process_time()
    Bootstrap(2000).interval(statistic)
    assert time.process_time() - start < 1.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"images": 0}, "at least one image"),
        ({"images": 5, "resamples": 99}, "must be >= 100"),
        ({"images": 5, "confidence": 1.0}, "must be in"),
    ],
)
def test_senseless_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Bootstrap(**arguments)
