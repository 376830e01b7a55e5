"""Group statistics match the textbook; the best run is not selected on the test split."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tuner.collecting.run_groups import STATISTICS, best, finished, group, summarise, varying


def _row(name, model="a", **values):
    return {"name": name, "status": "finished", "model": model, **values}


def test_statistics_of_groups():
    rows = [
        _row("1", "b", test_accuracy=0.5, seconds=1.0, val_accuracy=0.5),
        _row("2", "b", test_accuracy=0.75, seconds=3.0, val_accuracy=1.0),
        _row("3", "a", test_accuracy=1.0, seconds=2.0),
        _row("4", "a"),
    ]
    one, two = summarise(rows, ["model"])
    assert list(one) == ["model", *STATISTICS]
    half = 12.706204736 * 0.125
    expected = {
        "model": "b",
        "runs": 2,
        "val_accuracy_mean": 0.75,
        "test_accuracy_mean": 0.625,
        "test_accuracy_std": math.sqrt(2) / 8,
        "test_accuracy_ci95_low": 0.625 - half,
        "test_accuracy_ci95_high": 0.625 + half,
        "test_accuracy_min": 0.5,
        "test_accuracy_max": 0.75,
        "seconds_mean": 2.0,
        "seconds_std": math.sqrt(2),
        "seconds_min": 1.0,
        "seconds_max": 3.0,
    }
    assert two == pytest.approx(expected)
    assert (one["model"], one["runs"], one["test_accuracy_mean"]) == ("a", 2, 1.0)
    assert one["test_accuracy_std"] is None and one["val_accuracy_mean"] is None


def test_measures_of_groups_are_summarised_where_runs_have_them():
    rows = [
        _row("1", "a", test_worst_group_accuracy=0.25),
        _row("2", "a", test_worst_group_accuracy=0.75),
        _row("3", "b"),
    ]
    one, other = summarise(rows, ["model"])
    assert one["test_worst_group_accuracy_mean"] == 0.5
    assert one["test_worst_group_accuracy_std"] == pytest.approx(math.sqrt(2) / 4)
    half = 12.706204736 * 0.25
    assert one["test_worst_group_accuracy_ci95_low"] == pytest.approx(0.5 - half)
    assert other["test_worst_group_accuracy_mean"] is None
    assert list(one) == list(other) and "test_adjusted_average_mean" not in one


@given(st.lists(st.floats(0, 1), min_size=2, max_size=9))
def test_interval_is_scipys(values):
    (summary,) = summarise([_row(str(i), test_accuracy=v) for i, v in enumerate(values)], ["model"])
    deviation = np.std(values, ddof=1)
    assert summary["test_accuracy_std"] == pytest.approx(deviation, abs=1e-9)
    if deviation > 1e-9:
        interval = stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values))
        low, high = summary["test_accuracy_ci95_low"], summary["test_accuracy_ci95_high"]
        assert (low, high) == pytest.approx(interval)


def test_groups_are_in_order_with_missing_values_last():
    rows = [_row(str(i), model=m) for i, m in enumerate(["b", None, 10, 9, "a", "b"])]
    assert [key for (key,) in group(rows, ["model"])] == [9, 10, "a", "b", None]


def test_best_run_of_each_group():
    rows = [
        _row("1", "a", val_accuracy=0.5, loss=0.1),
        _row("2", "a", val_accuracy=0.75, loss=0.2),
        _row("3", "a", val_accuracy=0.75, loss=0.3),
        _row("4", "b"),
        _row("5", "c", val_accuracy=0.25, loss=0.0),
    ]
    assert [row["name"] for row in best(rows, ["model"], "val_accuracy")] == ["2", "5"]
    assert [row["name"] for row in best(rows, ["model"], "loss")] == ["1", "5"]
    assert [row["name"] for row in best(rows, [], "val_accuracy")] == ["2"]


def test_nothing_is_chosen_on_the_test_split():
    with pytest.raises(ValueError, match="selecting on the test split"):
        best([], [], "test_accuracy")


def test_best_text_is_an_error():
    with pytest.raises(ValueError, match="contains text"):
        best([_row("1")], [], "model")


def test_unfinished_runs_are_not_compared():
    assert finished([_row("1"), {**_row("2"), "status": "unfinished"}]) == [_row("1")]


def test_settings_that_vary_within_groups():
    rows = [
        _row("1", "a", lr=1, epochs=1),
        _row("2", "a", lr=2, epochs=1),
        _row("3", "b", epochs=2),
    ]
    assert varying(rows, ["model"], ["model", "lr", "epochs"]) == ["lr"]
