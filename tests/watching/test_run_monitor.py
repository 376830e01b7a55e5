"""Tests of proxy_keras/watching/run_monitor.py."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from pathlib import Path

import pytest

from proxy_keras import train
from proxy_keras.watching import run_monitor as module
from proxy_keras.watching.run_monitor import RunMonitor


def test_a_run_is_told_from_before_its_begin_to_its_end(run) -> None:
    monitor = RunMonitor(run.path)

    def told() -> tuple[object, ...]:
        state = monitor.state()
        said = state["run"]
        return (
            *(state["progress"]["phase"], state["progress"]["epoch"], state["progress"]["epochs"]),
            *(said["history"].get("val_accuracy"), said["results"], len(said["sheets"])),
        )

    assert told() == ("waiting", 0, None, None, None, 0)
    run.begin(epochs=2)
    assert told() == ("training", 0, 2, None, None, 0)
    run.train(1)
    assert told() == ("training", 1, 2, [0.05], None, 0)
    run.train(2)
    run.draw(2)
    assert told() == ("evaluating", 2, 2, [0.05, 0.1], None, 1)
    run.end()
    assert told() == ("finished", 2, 2, [0.05, 0.1], {"val": 0.25, "test": 0.75}, 1)
    shutil.rmtree(run.path)
    assert told() == told() == ("gone", 0, None, None, None, 0)
    run.begin(epochs=3)
    assert told() == ("training", 0, 3, None, None, 0)


def test_the_whole_of_what_is_told(run) -> None:
    run.begin(seed=3)
    run.train(2)
    run.draw(2)
    os.utime(run.path / "sheets" / "proxies_0002.png", ns=(5, 7))
    state = RunMonitor(run.path).state()
    assert sorted(state) == ["progress", "run", "version"]
    assert state["run"] == {
        "name": "first",
        "resume": f"python -m proxy_keras.train --resume --out {shlex.quote(str(run.path))}",
        "settings": {"model": "small_cnn", "epochs": 4, "seed": 3},
        "conditions": {"classes": 2},
        "history": {
            **{"epoch": [1, 2], "accuracy": [0.1, 0.2], "loss": [2.9, 2.8]},
            **{"val_accuracy": [0.05, 0.1], "val_loss": [1.9, 1.8]},
            **{"proxies": [5, 5], "proxy_chosen": [0, 5]},
        },
        "per_class": {
            **{"classes": ["cat", "dog"], "images": [4, 2]},
            **{"epochs": [1, 2], "right": [[1, 1], [2, 1]]},
        },
        "sheets": [{"epoch": 2, "address": "sheets/proxies_0002.png?v=7"}],
        "results": None,
        "problems": [],
    }


def test_the_command_that_goes_on_is_one(run) -> None:
    monitor = RunMonitor(run.path.with_name("a run; with 'quotes'"))
    words = shlex.split(monitor.state()["run"]["resume"])
    assert words[:3] == ["python", "-m", "proxy_keras.train"]
    given = train.build_parser().parse_args(words[3:])
    assert (given.resume, given.out) == (True, monitor.folder)


def test_what_is_known_is_not_told_again(run, monkeypatch: pytest.MonkeyPatch) -> None:
    run.begin()
    run.train(1)
    monitor = RunMonitor(run.path)
    first = monitor.state()
    assert "run" not in monitor.state(first["version"])
    assert "run" in monitor.state("another")
    run.train(2)
    second = monitor.state(first["version"])
    assert second["version"] != first["version"]
    assert second["run"]["history"]["epoch"] == [1, 2]
    run.train(1)
    assert monitor.state()["version"] == first["version"]
    # The version is not computed again while nothing changes.
    monkeypatch.setattr(module, "_version", None)
    assert monitor.state(first["version"])["version"] == first["version"]


def test_the_clock_tells_what_is_left_and_when_all_is_quiet(run) -> None:
    run.begin(epochs=10)
    run.train(3)
    now = [1000.0]
    monitor = RunMonitor(run.path, clock=lambda: now[0])

    def written(at: float) -> None:
        for path in [run.path, *run.path.iterdir()]:
            os.utime(path, (at, at))

    def told() -> tuple[object, ...]:
        progress = monitor.state()["progress"]
        return progress["left_s"], progress["quiet_s"], progress["is_quiet"]

    written(999.0)
    assert told() == (13.0, 1.0, False)
    now[0] = 1060.0
    assert told() == (12.0, 61.0, True)
    # A resumed run changes its folders first.
    (run.path / "tensorboard" / "train").mkdir(parents=True)
    written(999.0)
    os.utime(run.path / "tensorboard" / "train", (1050.0, 1050.0))
    assert told() == (12.0, 10.0, False)
    # The clock of another machine may be ahead.
    written(2000.0)
    assert told() == (14.0, 0.0, False)


def test_a_number_of_epochs_that_is_none_is_not_known(run) -> None:
    run.begin(epochs="many")
    assert RunMonitor(run.path).state()["progress"]["epochs"] is None


def test_results_of_any_form_are_told_or_left_out(run) -> None:
    run.begin()
    run.write("metrics.json", '{"val": 3, "test": {"f1": 1}}')
    assert RunMonitor(run.path).state()["run"]["results"] == {"test": None}


def test_a_problem_is_told_beside_what_is_known(run) -> None:
    run.begin()
    run.train(1)
    monitor = RunMonitor(run.path)
    monitor.state()
    run.write("history.csv", "epoch,loss\n1\n")
    told = monitor.state()
    assert told["run"]["problems"] == [
        "Cannot read history.csv: its rows have different lengths. Its last content is shown."
    ]
    assert told["progress"]["epoch"] == 1
    json.dumps(told, allow_nan=False)


def test_pictures_are_given_by_name_and_nothing_else(run, monkeypatch: pytest.MonkeyPatch) -> None:
    run.begin()
    content = run.draw(2)
    monitor = RunMonitor(run.path)
    assert monitor.sheet("proxies_0002.png") == content
    for name in ("proxies_0003.png", "../config.json", "..", "", "config.json"):
        assert monitor.sheet(name) is None
    found = monitor._files.sheets()
    monkeypatch.setattr(monitor._files, "sheets", lambda: found)
    (run.path / "sheets" / "proxies_0002.png").unlink()
    assert monitor.sheet("proxies_0002.png") is None


def test_the_name_stays_when_the_place_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "place"
    place.mkdir()
    monkeypatch.chdir(place)
    monitor = RunMonitor(Path("."))
    shutil.rmtree(place)
    state = monitor.state()
    assert (state["run"]["name"], state["progress"]["phase"]) == ("place", "waiting")
