"""The results table of a study: its rows, old and damaged files, and settings told apart."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from proxy_keras.settings import DataConfig, ProxyConfig, TrainConfig
from tuner.comparing.study_results import COLUMNS, Results, fingerprint, row_of

METRICS: dict[str, Any] = {
    "val": {"accuracy": 0.5},
    "test": {"accuracy": 0.4, "loss": 1.0},
    "seconds": 2.0,
    "cpu_seconds": 3.0,
    "proxies_made": 0,
    "proxy_steps": [],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    about = {"split_sha256": "ab", "initial_weights_sha256": "cd", "optimizer_steps": 10}
    (tmp_path / "run.json").write_text(json.dumps(about))
    return tmp_path


def test_steps_of_a_method_are_beside_those_that_arms_share(folder: Path) -> None:
    plain = row_of("none", 0, folder, METRICS, "0" * 16)
    twice = row_of("jtt", 0, folder, {**METRICS, "robust": {"optimizer_steps": 5}}, "1" * 16)
    assert (plain["optimizer_steps"], plain["extra_steps"]) == (10, 0.0)
    assert (twice["optimizer_steps"], twice["extra_steps"]) == (10, 5.0)


def test_tables_from_before_there_were_such_methods_are_read_and_continued(folder: Path) -> None:
    old = Results(folder)
    old.add(row_of("none", 0, folder, METRICS, "0" * 16))
    old.table.drop(columns="extra_steps").to_csv(old.path, index=False)
    Results(folder).add(row_of("none", 1, folder, METRICS, "0" * 16))
    steps = Results(folder).table["extra_steps"].tolist()
    assert math.isnan(steps[0]) and steps[1] == 0.0


def test_fingerprints_tell_settings_apart_but_not_places_or_defaults():
    at = TrainConfig(DataConfig("npz:/a/x.npz"))
    one = fingerprint(at, "m")
    assert one == fingerprint(TrainConfig(DataConfig("npz:/b/x.npz")), "m")
    assert one == fingerprint(dataclasses.replace(at, lr=1e-3), "m")
    grouped = [
        fingerprint(TrainConfig(DataConfig("a", groups=f"/{place}/groups.csv")), "m")
        for place in "ab"
    ]
    assert grouped[0] == grouped[1] != fingerprint(TrainConfig(DataConfig("a")), "m")
    others = [
        fingerprint(at, "n"),
        fingerprint(dataclasses.replace(at, proxy=None), "m"),
        fingerprint(dataclasses.replace(at, lr=2e-3), "m"),
        fingerprint(dataclasses.replace(at, proxy=ProxyConfig(threshold=0.1)), "m"),
        fingerprint(TrainConfig(DataConfig("npz:/a/y.npz")), "m"),
    ]
    assert len({one, *others}) == 6


def test_a_damaged_table_is_refused(tmp_path):
    (tmp_path / "results.csv").write_text("arm,seed\nnone,1\n")
    with pytest.raises(ValueError, match="lacks .*test_accuracy"):
        Results(tmp_path)
    (tmp_path / "results.csv").write_text("")
    with pytest.raises(ValueError, match="is not a table"):
        Results(tmp_path)


OF_GROUPS = COLUMNS[COLUMNS.index("cue_cpu_seconds") + 1 : COLUMNS.index("op_determinism")]
UNKNOWN = "," * len(OF_GROUPS)
LINES = [
    ",".join(COLUMNS),
    f"none,0,0.9,0.8,0.5,1.0,2.0,0,,ab,01,10,,,,{UNKNOWN}on,,0123456789abcdef",
    f"proxy,0,0.9,0.8,nan,1.0,2.0,5,0.25,ab,01,10,7,3.0,0.5,{UNKNOWN}off,,0e23456789abcdef",
]


def test_a_row_has_the_measures_of_each_selection(tmp_path):
    about = {"split_sha256": "ab", "initial_weights_sha256": "01", "optimizer_steps": 3}
    (tmp_path / "run.json").write_text(json.dumps(about | {"val_groups": "other shares"}))
    of_group = {"worst_group_accuracy": 0.25, "adjusted_average": None}
    metrics = {
        "val": {"accuracy": 0.5},
        "test": {"accuracy": 0.75, "loss": 1.0, "balanced_accuracy": 0.5, "groups": of_group},
        "selected": {"worst_group": {"epoch": 2, "test": {"worst_group_accuracy": 0.5}}},
        **{"seconds": 1.0, "cpu_seconds": 1.0, "proxies_made": 0, "proxy_steps": []},
    }
    row = row_of("none", 0, tmp_path, metrics, "0123456789abcdef")
    assert set(row) == set(COLUMNS) and row["val_groups"] == "other shares"
    assert (row["groups_sha256"], row["auto_precision"]) == ("", "")
    assert (row["test_worst_group_accuracy"], row["test_balanced_accuracy"]) == (0.25, 0.5)
    assert (row["test_worst_group_accuracy_by_worst_group"], row["worst_group_epoch"]) == (0.5, 2.0)
    unknown = ("test_adjusted_average", "test_accuracy_by_worst_class", "worst_class_epoch")
    assert all(math.isnan(row[name]) for name in unknown)
    results = Results(tmp_path)
    results.add(row)
    pd.testing.assert_frame_equal(Results(tmp_path).table, results.table, check_dtype=False)
    for known, expected in (("gg", "gg"), (None, "none")):
        (tmp_path / "run.json").write_text(json.dumps(about | {"groups_sha256": known}))
        row = row_of("none", 0, tmp_path, metrics, "0123456789abcdef")
        assert row["groups_sha256"] == expected


def test_the_table_is_read_as_it_was_written(tmp_path):
    (tmp_path / "results.csv").write_text("\n".join(LINES))
    results = Results(tmp_path)
    assert results.messages == [] and results.has("proxy", 0, "0e23456789abcdef")
    assert results.table["initial_weights_sha256"].tolist() == ["01", "01"]
    assert results.table[["replaced", "test_loss"]].isna().to_numpy().tolist() == [
        [True, False],
        [False, True],
    ]
    results.add(results.table.iloc[1].to_dict())
    again = Results(tmp_path).table
    pd.testing.assert_frame_equal(again, results.table)
    assert again["seed"].dtype == "int64" and again["test_accuracy"].dtype == "float64"


def test_tables_from_before_there_were_cues_are_read(tmp_path):
    new = ("extra_steps", "cues_ticked", "cue_cpu_seconds", *OF_GROUPS, "op_determinism")
    new += ("auto_precision",)
    names = [name for name in COLUMNS if name not in new]
    (tmp_path / "results.csv").write_text(
        ",".join(names) + "\nnone,0,0.9,0.8,0.5,1.0,2.0,0,,ab,01,10,0123456789abcdef\n"
    )
    results = Results(tmp_path)
    assert results.messages == [] and results.table["cues_ticked"].isna().all()
    assert results.table["test_worst_group_accuracy"].isna().all()
    unknown = ["groups_sha256", "val_groups", "auto_precision"]
    assert results.table[unknown].to_numpy().tolist() == [["", "", ""]]
    assert list(results.table) == list(COLUMNS)
    # Determinism could not be off then.
    assert results.table["op_determinism"].tolist() == ["on"]
    assert results.has("none", 0, "0123456789abcdef")


@pytest.mark.parametrize("lost", [1, 5, 20, 45, len(LINES[2]) - 4])
def test_a_last_line_that_is_cut_off_is_done_again(lost, tmp_path):
    (tmp_path / "results.csv").write_text("\n".join(LINES)[:-lost])
    results = Results(tmp_path)
    assert results.table["arm"].tolist() == ["none"]
    assert len(results.messages) == 1 and "line 3 is truncated" in results.messages[0]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "none,0,abc",
            f"line 2 must have {len(COLUMNS)} columns, but has 3. Correct it, or delete",
        ),
        (LINES[1].replace("0.9", "abc"), "line 2 needs a number for `test_accuracy`.*'abc'"),
        (LINES[1].replace("0.5", "x"), "line 2 needs a number for `test_loss`.*'x'"),
        (LINES[1].replace("0.9", ""), "line 2 needs a number for `test_accuracy`.*''"),
        (LINES[1].replace("none,0", "none,0.5"), "line 2 needs a whole number for `seed`"),
        (LINES[2], "line 3 duplicates proxy, seed 0"),
    ],
)
def test_a_damaged_line_is_named(line, message, tmp_path):
    (tmp_path / "results.csv").write_text("\n".join([LINES[0], line, LINES[2]]) + "\n")
    with pytest.raises(ValueError, match=message):
        Results(tmp_path)
