"""`python -m tuner.search`: kills, damaged files, several workers, and one real search."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from proxy_keras.settings import TrainConfig
from tests.commands import ROOT, Command, Commands, environment

pytestmark = pytest.mark.slow

SPACE = """
parameters:
  threshold: {type: float, min: 0.1, max: 0.9, step: 0.1}
  replacement: {type: choice, values: [blended, black]}
  weight: {type: float, min: 0.2, max: 0.8, step: 0.6, when: {replacement: blended}}
"""
EPOCHS = 6
TRIALS = {"random": 5, "grid": 6, "bayesian": 5, "hyperband": 8}


WITH_STUB = """
import sys
from tuner import search
sys.exit(search.main(sys.argv[1:], module="stub_training"))
"""


class Searches:
    """Searches with stub training, each in its own process."""

    def __init__(self, commands: Commands, folder: Path) -> None:
        self.folder = folder
        self._commands = commands
        (folder / "space.yaml").write_text(SPACE)

    def start(self, name: str, *words: object, **variables: str) -> Command:
        """Start a search in the folder of this name."""
        arguments = ["--data", "digits", "--out", self.folder / name, "--epochs", EPOCHS]
        arguments += ["--schedule", "every:1", "--space", self.folder / "space.yaml", *words]
        paths = f"{ROOT}{os.pathsep}{ROOT / 'tests' / 'tuner'}"
        env = {**environment(), "PYTHONPATH": paths, "OPENBLAS_NUM_THREADS": "1", **variables}
        log = self.folder / f"{name}.log"
        return self._commands.start("-c", WITH_STUB, *arguments, env=env, log=log)

    def run(self, name: str, *words: object) -> int:
        """Run a search, and return its exit code."""
        return self.start(name, *words).wait()

    def log(self, name: str) -> str:
        """Return the output of the searches in a folder."""
        return (self.folder / f"{name}.log").read_text()


@pytest.fixture(scope="module")
def searches(commands: Commands, tmp_path_factory: pytest.TempPathFactory) -> Searches:
    """The searches of this file."""
    return Searches(commands, tmp_path_factory.mktemp("searches"))


def rows(out: Path) -> list[dict[str, str]]:
    """Return the rows of results.csv."""
    with (out / "results.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def epochs(out: Path) -> list[tuple[str, int, int]]:
    """Return the trained epochs: trial, epoch, process id."""
    lines = []
    for file in sorted((out / "trials").glob("*/epochs.txt")):
        for line in file.read_text().splitlines():
            lines.append((file.parent.name, *map(int, line.split())))
    return lines


def wait_for(condition: Callable[[], object], *, timeout_s: float = 180) -> None:
    """Wait until a condition holds."""
    until = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < until, "timed out"
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    """Return whether a process is running."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def check_epochs(out: Path, *, lost: int) -> None:
    """Check that each trial trained all its epochs, and few epochs twice."""
    trained = epochs(out)
    for row in rows(out):
        mine = [epoch for trial, epoch, _ in trained if trial == row["trial"]]
        assert mine == sorted(mine) and set(mine) == set(range(1, int(row["epochs"]) + 1))
    assert len(trained) - len({(trial, epoch) for trial, epoch, _ in trained}) <= lost


def test_killed_searches_end_like_uninterrupted_ones(searches: Searches) -> None:
    draw = random.Random(5)
    words = {name: ("--algorithm", name, "--trials", n) for name, n in TRIALS.items()}
    whole = {name: searches.start(f"{name}-whole", *words[name]) for name in TRIALS}
    broken = {name: searches.start(f"{name}-broken", *words[name]) for name in TRIALS}
    kill_at = {name: draw.randint(3, 3 * n) for name, n in TRIALS.items()}
    waiting = dict(broken)
    while waiting:
        for name, search in list(waiting.items()):
            out = searches.folder / f"{name}-broken"
            if len(epochs(out)) >= kill_at[name]:
                time.sleep(draw.uniform(0, 0.3))
                search.kill()
                del waiting[name]
        time.sleep(0.01)
    for name, search in broken.items():
        assert search.wait() == -signal.SIGKILL
        broken[name] = searches.start(f"{name}-broken", *words[name])
    for name, n in TRIALS.items():
        assert whole[name].wait() == 0, searches.log(f"{name}-whole")
        assert broken[name].wait() == 0, searches.log(f"{name}-broken")
        one, two = (searches.folder / f"{name}-{kind}" for kind in ("whole", "broken"))
        assert rows(one) == rows(two) and len(rows(one)) == n
        assert {row["status"] for row in rows(one)} == {"completed"}
        assert (one / "best.json").read_bytes() == (two / "best.json").read_bytes()
        check_epochs(one, lost=0)
        check_epochs(two, lost=1)
        assert "resuming: " in searches.log(f"{name}-broken")
    grid = [
        (float(row["threshold"]), row["replacement"], row["weight"])
        for row in rows(searches.folder / "grid-whole")
    ]
    assert grid == [
        (threshold, *rest)
        for threshold in (0.1, 0.2)
        for rest in (("blended", "0.2"), ("blended", "0.8"), ("black", ""))
    ]
    halved = [row["epochs"] for row in rows(searches.folder / "hyperband-whole")]
    assert halved == ["2"] * 5 + ["6"] * 3


def test_a_killed_trial_resumes_or_is_given_up(searches: Searches) -> None:
    out = searches.folder / "deaths"
    search = searches.start("deaths", "--algorithm", "random", "--trials", 3)
    killed: set[int] = set()

    def kill(trial: str) -> bool:
        pids = {pid for name, _, pid in epochs(out) if name == trial} - killed
        for process in pids:
            os.kill(process, signal.SIGKILL)
        killed.update(pids)
        return bool(pids)

    wait_for(lambda: kill("0000"))
    for _ in range(3):
        wait_for(lambda: kill("0001"))
    assert search.wait() == 0
    first, second, third = rows(out)
    assert (first["status"], second["status"], third["status"]) == (
        "completed",
        "failed",
        "completed",
    )
    assert "killed 3 times, the last time by SIGKILL" in second["message"]
    assert len({process for name, _, process in epochs(out) if name == "0000"}) == 2


def test_trials_end_with_their_search(searches: Searches) -> None:
    out = searches.folder / "orphans"
    # Enough trials that the first search still runs when the second one is refused.
    words = ("--algorithm", "random", "--trials", 20, "--workers", 2, "--quiet")
    search = searches.start("orphans", *words)
    wait_for(lambda: len({name for name, _, _ in epochs(out)}) >= 2)
    assert searches.run("orphans", *words) == 2
    assert "Another search is running" in searches.log("orphans")
    search.kill()
    assert search.wait() == -signal.SIGKILL
    wait_for(lambda: not any(is_alive(process) for _, _, process in epochs(out)), timeout_s=5)
    assert searches.run("orphans", *words) == 0
    check_epochs(out, lost=2)


def test_interrupted_fresh_and_other_settings(searches: Searches) -> None:
    out = searches.folder / "stopped"
    words = ("--algorithm", "grid", "--trials", 2)
    search = searches.start("stopped", *words)
    wait_for(lambda: epochs(out))
    os.kill(search.pid, signal.SIGINT)
    assert search.wait() == 130
    assert "Resume with: python -m tuner.search --data digits" in searches.log("stopped")
    assert not any(is_alive(process) for _, _, process in epochs(out))

    assert searches.run("stopped", *words, "--lr", "0.5") == 2
    assert "settings.lr was 0.001, now 0.5" in searches.log("stopped")
    assert searches.run("stopped", *words, "--fresh") == 2
    assert "add --yes" in searches.log("stopped") and not (out / "earlier-1").exists()
    (out / "mine.txt").write_text("kept")
    assert searches.run("stopped", "--algorithm", "random", "--trials", 1, "--fresh", "--yes") == 0
    assert len(rows(out)) == 1 and (out / "mine.txt").exists()
    assert (out / "earlier-1" / "trials" / "0000" / "epochs.txt").exists()
    # A search can be extended with more trials.
    assert searches.run("stopped", "--algorithm", "random", "--trials", 3) == 0
    assert len(rows(out)) == 3


def test_a_trial_that_cannot_be_trained_fails(searches: Searches) -> None:
    space = searches.folder / "methods.yaml"
    space.write_text("parameters: {method: {type: choice, values: [grad_cam, lime, cam]}}")
    assert searches.run("methods", "--algorithm", "grid", "--space", space) == 0
    found = {row["method"]: row for row in rows(searches.folder / "methods")}
    assert [row["status"] for row in found.values()] == ["completed", "failed", "completed"]
    assert found["lime"]["message"] == "this network cannot be explained so"


def test_chief_and_two_workers_of_which_one_dies(searches: Searches) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    words = ("--algorithm", "hyperband", "--trials", 10, "--worker-timeout", 5)
    address = {"KERASTUNER_ORACLE_IP": "127.0.0.1", "KERASTUNER_ORACLE_PORT": port}
    started = {
        name: searches.start("chief", *words, **address, KERASTUNER_TUNER_ID=name)
        for name in ("chief", "left", "right")
    }
    out = searches.folder / "chief"
    wait_for(lambda: len(epochs(out)) >= 7)
    # A killed chief resumes, too.
    started["chief"].kill()
    assert started["chief"].wait() == -signal.SIGKILL
    started["chief"] = searches.start("chief", *words, **address, KERASTUNER_TUNER_ID="chief")
    before = len(epochs(out))
    wait_for(lambda: len(epochs(out)) >= before + 3)
    started["right"].kill()
    assert started["right"].wait() == -signal.SIGKILL
    assert started["left"].wait() == 0, searches.log("chief")
    assert started["chief"].wait() == 0, searches.log("chief")
    assert [row["status"] for row in rows(out)] == ["completed"] * 10
    assert "no heartbeat from worker right-0 for 5 s" in searches.log("chief")
    check_epochs(out, lost=1)


def test_a_real_search(
    run_command: Callable[..., subprocess.CompletedProcess[str]], squares: Path, tmp_path: Path
) -> None:
    out = tmp_path / "search"
    done = run_command(
        *("-m", "tuner.search", "--data", f"npz:{squares}", "--algorithm", "random"),
        *("--trials", 2, "--workers", 2, "--out", out, "--epochs", 2, "--model", "small_cnn"),
        *("--schedule", "every:1", "--method", "grad_cam", "--batch-size", 48),
        *("--precision", "float32"),
    )
    assert done.returncode == 0, done.stderr
    one, two = rows(out)
    assert {one["status"], two["status"]} == {"completed"} and "model" not in one
    splits = {(out / row["folder"] / "split.csv").read_bytes() for row in (one, two)}
    assert len(splits) == 1
    for row in (one, two):
        with (out / row["folder"] / "history.csv").open(newline="") as file:
            last = list(csv.DictReader(file))[-1]
        assert float(row["val_accuracy"]) == float(last["val_accuracy"])
        config = TrainConfig.load(out / row["folder"] / "config.json")
        assert config.proxy is not None and config.proxy.explain == row["explain"]
        assert (config.model, config.seed, config.epochs) == ("small_cnn", 0, 2)
    best = max((one, two), key=lambda row: float(row["val_accuracy"]))
    asked = json.loads((out / "trials" / f"{best['trial']}.json").read_text())
    assert json.loads((out / "best.json").read_text()) == asked
    assert f"next: python -m proxy_keras.train --config {out / 'best.json'}" in done.stdout
