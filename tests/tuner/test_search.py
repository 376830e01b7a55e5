"""The search command in this process. Tests with kills are in tests/end_to_end."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import pytest

from tests.commands import ROOT
from tuner import search

# KerasTuner asks for its thread by methods of an earlier Python.
pytestmark = [
    pytest.mark.filterwarnings("ignore:currentThread:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:getName:DeprecationWarning"),
]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Run a search with stub training in `tmp_path / "out"`."""
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{ROOT / 'tests' / 'tuner'}")
    (tmp_path / "space.yaml").write_text(
        "parameters: {threshold: {type: choice, values: [0.3, 0.6]}}"
    )

    def main(*words: object) -> int:
        arguments = ["--data", "digits", "--epochs", 2, "--schedule", "every:1"]
        arguments += ["--space", tmp_path / "space.yaml", "--out", tmp_path / "out", *words]
        return search.main([*map(str, arguments)], module="stub_training")

    return main


def test_fresh_asks_first(
    run, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("--algorithm", "grid") == 0
    out = capsys.readouterr().out
    assert "[2 of" not in out and "[2] trial 0001: val_accuracy 0.8500 after 2 epochs" in out
    assert "trial  val_accuracy  epochs  threshold\n0001   0.8500        2       0.6\n0000" in out
    assert f"next: python -m proxy_keras.train --config {tmp_path / 'out' / 'best.json'}" in out

    answers = ["", "y"]
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda question: answers.pop(0))
    assert run("--algorithm", "grid", "--fresh") == 2
    assert "Nothing was changed." in capsys.readouterr().err
    assert not (tmp_path / "out" / "earlier-1").exists()
    assert run("--algorithm", "random", "--trials", 1, "--fresh", "--quiet") == 0
    assert (tmp_path / "out" / "earlier-1" / "results.csv").exists()
    assert capsys.readouterr().out.startswith("trial  val_accuracy")


def test_a_finished_search_says_so_again(run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--algorithm", "grid", "--quiet") == 0
    first = capsys.readouterr().out
    assert run("--algorithm", "grid", "--quiet") == 0
    assert capsys.readouterr().out == first


def test_damaged_files_cost_nothing(
    run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("--algorithm", "random", "--trials", 1, "--quiet")
    capsys.readouterr()
    out = tmp_path / "out"
    damaged = [out / "search.json", *out.glob("oracle/oracle*.json"), *out.glob("oracle/*/*.json")]
    for path in damaged[:-1]:
        path.write_text(path.read_text()[:20])
    assert run("--algorithm", "random", "--trials", 2, "--quiet") == 0
    captured = capsys.readouterr()
    assert [str(path) in captured.err for path in damaged] == [True, True, True, False]
    assert len((out / "results.csv").read_text().splitlines()) == 3


def test_a_search_in_which_nothing_works_ends(
    run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--method", "lime", "--replacement", "black", "--quiet")
    (tmp_path / "space.yaml").write_text(
        "parameters: {threshold: {type: float, min: 0.1, max: 0.9}}"
    )
    assert run("--algorithm", "random", "--trials", 9, *words) == 2
    error = capsys.readouterr().err
    assert "5 trials failed and none was completed" in error
    assert "this network cannot be explained so" in error


def test_a_full_disk_stops_the_search_and_the_same_command_goes_on(
    run, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    full = tmp_path / "full"
    full.touch()
    monkeypatch.setenv("STUB_FULL_DISK", str(full))
    assert run("--algorithm", "grid", "--quiet") == 2
    error = capsys.readouterr().err
    assert "Trial 0000 found the disk full, so the search has stopped" in error
    assert "Free some space, and run the same command again." in error
    full.unlink()
    assert run("--algorithm", "grid", "--quiet") == 0
    assert "0001   0.8500        2       0.6" in capsys.readouterr().out
    trained = (tmp_path / "out" / "trials").glob("*/epochs.txt")
    epochs = [[line.split()[0] for line in file.read_text().splitlines()] for file in trained]
    # No epoch was trained twice.
    assert epochs == [["1", "2"], ["1", "2"]]


def test_a_space_that_does_not_fit_leaves_no_folder(
    run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--algorithm", "grid", "--schedule", "every:5") == 2
    assert "'every:5' makes no proxies in 2 epochs" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_hyperband_in_a_small_space_trains_in_full(
    run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--algorithm", "hyperband", "--epochs", 9, "--quiet")
    assert run(*words) == 0
    captured = capsys.readouterr()
    assert captured.err == (
        "note: the search ended after 4 of 10 trials, because the space has no more combinations\n"
    )
    with (tmp_path / "out" / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epochs"] for row in rows] == ["3", "3", "9", "9"]
    assert json.loads((tmp_path / "out" / "best.json").read_text())["epochs"] == 9


def test_a_search_without_full_training_says_so(run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--algorithm", "hyperband", "--epochs", 9, "--trials", 2, "--quiet") == 0
    error = capsys.readouterr().err
    assert error.startswith("note: no trial completed all 9 epochs; the best ones ran for 3. Raise")


def test_a_search_without_determinism_says_so(
    run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--algorithm", "grid", "--no-determinism", "--quiet") == 0
    assert "op determinism was off in 2 of 2 completed trials" in capsys.readouterr().err
    with (tmp_path / "out" / "results.csv").open() as file:
        assert [row["op_determinism"] for row in csv.DictReader(file)] == ["off", "off"]
    assert json.loads((tmp_path / "out" / "best.json").read_text())["determinism"] is False


def test_a_space_that_ends_early_is_reported(run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--algorithm", "random", "--trials", 9, "--quiet") == 0
    assert "note: the search ended after 2 of 9 trials" in capsys.readouterr().err


def test_incomplete_variables_are_refused(
    run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KERASTUNER_ORACLE_IP", "127.0.0.1")
    assert run("--algorithm", "grid") == 2
    assert "KERASTUNER_ORACLE_PORT" in capsys.readouterr().err


def test_no_worker_begins_anew(
    run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KERASTUNER_ORACLE_IP", "127.0.0.1")
    monkeypatch.setenv("KERASTUNER_ORACLE_PORT", "1")
    monkeypatch.setenv("KERASTUNER_TUNER_ID", "left")
    assert run("--algorithm", "grid", "--fresh", "--yes") == 2
    assert "`--fresh` is only for the chief" in capsys.readouterr().err
