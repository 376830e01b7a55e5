"""Rows of the results table, of runs with and without steps of their own."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from tuner.comparing.study_results import Results, row_of

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
