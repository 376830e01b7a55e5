"""Arms are compared by the worst group where it is known, and each selection has its row."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tests.tuner.made_up_results import results
from tuner.comparing.analysis import analyse
from tuner.comparing.measures import ALL, Measure, chosen_measure
from tuner.comparing.selection_table import selection_parts, selection_table
from tuner.comparing.study_report import write

WORST = Measure("worst_group_accuracy")
BY_GROUP = Measure("worst_group_accuracy", "worst_group")


def grouped(worst, by_group=None, accuracies=(90.0, 90.0, 90.0)):
    """Return runs of `none` and `proxy` with these worst-group accuracies, in points."""
    table = results({arm: accuracies for arm in worst})
    table[WORST.column] = np.concatenate(list(worst.values())) / 100.0
    if by_group is not None:
        table[BY_GROUP.column] = np.concatenate(list(by_group.values())) / 100.0
    return table


RUNS = {"none": [40.0, 42.0, 44.0], "proxy": [60.0, 63.0, 66.0]}


def test_columns_and_words():
    assert Measure().column == "test_accuracy" and Measure().words == "test accuracy"
    assert BY_GROUP.column == "test_worst_group_accuracy_by_worst_group"
    assert WORST.words == "test worst-group accuracy" and WORST.epoch == "at the last epoch"
    assert len({measure.column for measure in ALL}) == len(ALL) == 15


def test_the_worst_group_is_compared_where_all_runs_have_it():
    table = grouped(RUNS)
    assert chosen_measure("auto", "last", table) == WORST
    table.loc[0, WORST.column] = np.nan
    assert chosen_measure("auto", "last", table) == Measure()
    assert chosen_measure("worst_group_accuracy", "last", table) == WORST
    table[BY_GROUP.column] = np.nan
    with pytest.raises(ValueError, match="No run has test worst-group accuracy at the epoch with"):
        chosen_measure("worst_group_accuracy", "worst_group", table)


def test_the_analysis_is_of_the_measure():
    study = analyse(grouped(RUNS), measure=WORST)
    none, proxy = study.arms
    assert (none.mean, proxy.mean) == pytest.approx((42.0, 63.0))
    (comparison,) = study.comparisons
    assert comparison.mean == pytest.approx(21.0) and comparison.outcome == "better"
    (by_accuracy,) = analyse(grouped(RUNS)).comparisons
    assert by_accuracy.outcome == "identical"


def test_a_row_for_each_selection_with_its_interval():
    by_group = {"none": [50.0, 52.0, 54.0], "proxy": [np.nan] * 3}
    table = selection_table(grouped(RUNS, by_group), ["none", "proxy"])
    found = [(row["arm"], row["selection"], row["n"]) for row in table.to_dict("records")]
    assert found == [("none", "last", 3), ("none", "worst_group", 3), ("proxy", "last", 3)]
    first = table.iloc[0]
    assert first["worst_group_accuracy_mean"] == pytest.approx(42.0)
    interval = stats.t.interval(0.95, 2, 42.0, stats.sem([40.0, 42.0, 44.0]))
    ends = first["worst_group_accuracy_low"], first["worst_group_accuracy_high"]
    assert ends == pytest.approx(interval) and first["accuracy_mean"] == 90.0
    heading, text, explanation = selection_parts(table)
    assert heading == "## Selection" and "(b)" in explanation
    lines = text.splitlines()
    assert lines[0] == "| arm | selection | seeds | test worst-group accuracy | test accuracy |"
    assert lines[3].startswith("| none | (c) worst group | 3 | 52.0 (47.0 to 57.0) | – |")


def test_one_seed_has_no_interval_and_no_runs_no_table():
    one = grouped({"none": [40.0]}, accuracies=(90.0,))
    assert "| 40.0 | 90.0 |" in selection_parts(selection_table(one, ["none"]))[1]
    assert selection_parts(selection_table(one.iloc[:0], ["none"])) == []


def test_the_report_names_measure_and_selections(tmp_path):
    write(tmp_path, grouped(RUNS), title="t", command="run", measure=WORST)
    text = (tmp_path / "report.md").read_text()
    assert "Test worst-group accuracy at the last epoch, in points" in text
    assert "| arm | seeds | worst-group accuracy | 95% interval |" in text
    assert "| proxy | (a) last | 3 | 63.0 (55.5 to 70.5) |" in text
    saved = pd.read_csv(tmp_path / "selections.csv")
    assert saved["worst_group_accuracy_mean"].tolist() == pytest.approx([42.0, 63.0])
