"""Conditions that the runs of a study share, and what its report says of them."""

from __future__ import annotations

import pandas as pd
import pytest

from tuner.comparing.conditions import check_conditions, determinism_notes, selection_notes


def rows_with(**changes):
    rows = pd.DataFrame(
        {
            "arm": ["none", "proxy", "none", "proxy"],
            "seed": [0, 0, 1, 1],
            "split_sha256": "aa",
            "initial_weights_sha256": ["w0", "w0", "w1", "w1"],
            "optimizer_steps": 10,
            "groups_sha256": ["", "gg", "gg", "gg"],
            "auto_precision": ["", "float32", "mixed_bfloat16", "mixed_bfloat16"],
        }
    )
    for column, value in changes.items():
        rows.loc[3, column] = value
    return rows


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"split_sha256": "bb"}, "the split, but differ: aa: none, proxy; bb: proxy"),
        ({"optimizer_steps": 11}, "share the number of optimizer steps"),
        ({"groups_sha256": "none"}, "share the groups, but differ: gg: none, proxy; none: proxy"),
        (
            {"initial_weights_sha256": "w9"},
            "share the initial weights, but differ with seed 1",
        ),
        (
            {"auto_precision": "float32"},
            "chose by itself, but differ with seed 1: float32: proxy; mixed_bfloat16: none",
        ),
    ],
)
def test_unequal_conditions_end_the_study(changes, message):
    check_conditions(rows_with())
    # An arm that says its precision may differ.
    check_conditions(rows_with(auto_precision=""))
    with pytest.raises(ValueError, match=message):
        check_conditions(rows_with(**changes))


def test_runs_without_determinism_are_counted():
    def table(*marks):
        return pd.DataFrame({"op_determinism": marks})

    assert determinism_notes(table("on", "on")) == []
    (note,) = determinism_notes(table("on", "off", "mixed"))
    assert note.startswith("Op determinism was off in 2 of 3 runs (`--no-determinism`)")


def test_other_group_shares_of_validation_are_said():
    def table(*shares):
        return pd.DataFrame({"val_groups": shares})

    assert selection_notes(table("", "like training")) == []
    (note,) = selection_notes(table("like training", "other shares"))
    assert "`--val-like-train`" in note
