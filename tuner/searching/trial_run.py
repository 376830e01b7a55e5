"""TrialRun: one trial under way, from its values to its score, in a process of its own."""

from __future__ import annotations

import contextlib
import csv
import json
import math
import re
import signal
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from proxy_keras.settings import TrainConfig
from proxy_keras.training.run_folder import finished_metrics
from tuner.file_lock import is_locked
from tuner.job import Job, started
from tuner.searching.oracle_files import set_aside

DEATHS = 3
"""How often a process may be killed before its trial is given up."""
_STOPPED = 130
_ARRAYS = ("weights.npz", "optimizer.npz", "proxies.npz")


def last_value(folder: Path, name: str) -> float:
    """What a run logged under a name at the end of its last epoch.

    Args:
        folder: A run folder that is trained to its end.
        name: A column of `history.csv`.
    Returns:
        The number; NaN where the cell is empty, as a training that diverged leaves it.
    Raises:
        OSError, ValueError: `history.csv` is absent, or has no number there.
    """
    path = folder / "history.csv"
    try:
        with path.open(encoding="utf-8", newline="") as file:
            text = list(csv.DictReader(file))[-1][name]
        return math.nan if text == "" else float(text)
    except (ValueError, KeyError, IndexError, TypeError, csv.Error) as error:
        raise ValueError(
            f"{path} must end with a number for {name}, and cannot be read: {error!r}"
        ) from error


def last_message(job: Job) -> str:
    """The last line that a process of the job printed, without its "error: "."""
    text = job.log.read_text(encoding="utf-8", errors="replace") if job.log.exists() else ""
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].removeprefix("error: ") if lines else "(it printed nothing)"


class TrialRun:
    """One trial under way.

    Args:
        trial: KerasTuner's.
        job: Its training.
        objective: The column of `history.csv` that counts, at the last epoch.
        threads: Of its process.
        say: Called with a line of news.
    """

    def __init__(
        self, trial: Any, job: Job, *, objective: str, threads: int, say: Callable[[str], None]
    ) -> None:
        self.trial = trial
        self._job = job
        self._objective = objective
        self._threads = threads
        self._say = say
        self._deaths = 0
        self._has_waited = False
        self._block = contextlib.ExitStack()
        self._process: subprocess.Popen[bytes] | None = None

    def step(self) -> bool:
        """Goes on as far as it can without waiting, and returns whether the trial has ended.

        After that, `score` tells its outcome.
        """
        if self._process is None:
            return self._begin()
        code = self._process.poll()
        if code is None:
            return False
        self.stop()
        if code < 0 or code == _STOPPED:
            return self._died(code)
        return True

    def score(self) -> float | None:
        """The objective of a trial that has ended; None: it failed, and its log ends with why."""
        if finished_metrics(self._job.folder) is None:
            return None
        try:
            value = last_value(self._job.folder, self._objective)
        except (OSError, ValueError) as error:
            self._note(str(error))
            return None
        if math.isfinite(value):
            return value
        self._note(f"the training has diverged: its {self._objective} is {value}")
        return None

    def stop(self) -> None:
        """Ends the process, if there is one, after the step that it is in."""
        self._block.close()
        self._process = None

    def _begin(self) -> bool:
        job = self._job
        if is_locked(job.lock):
            if not self._has_waited:
                self._say(f"trial {self.trial.trial_id}: another process still trains it; waiting")
            self._has_waited = True
            return False
        _move_away_others(job)
        self._set_aside(_damaged(job.folder))
        if finished_metrics(job.folder) is not None:
            return True
        # Without its newest checkpoint a training goes on from the one before, or from the start.
        self._set_aside(_damaged_checkpoints(job.folder))
        self._process = self._block.enter_context(started(job, threads=self._threads))
        return False

    def _set_aside(self, damaged: list[Path]) -> None:
        for path in damaged:
            self._say(f"{path} is damaged, and now {set_aside(path).name}")

    def _died(self, code: int) -> bool:
        """Takes note of a process that was killed, and returns whether the trial is given up."""
        name = signal.Signals(-code).name if code < 0 else "SIGINT"
        self._deaths += 1
        if self._deaths < DEATHS:
            self._say(
                f"trial {self.trial.trial_id}: its process was ended by {name}; it goes on after "
                "its last epoch"
            )
            return False
        self._note(
            f"its process was ended {DEATHS} times, the last time by {name}. Is there too little "
            "memory?"
        )
        return True

    def _note(self, message: str) -> None:
        with self._job.log.open("a", encoding="utf-8") as log:
            log.write(f"error: {message}\n")


def fail(job: Job, message: str) -> None:
    """Notes in the log of a job why it cannot be trained."""
    job.log.parent.mkdir(parents=True, exist_ok=True)
    with job.log.open("a", encoding="utf-8") as log:
        log.write(f"error: {message}\n")


def _damaged(folder: Path) -> list[Path]:
    """The files of a run folder that are not whole, and that its training writes anew."""
    damaged = []
    for path in (folder / "config.json", folder / "metrics.json"):
        if path.exists():
            try:
                json.loads(path.read_text(encoding="utf-8"))
            except ValueError:
                damaged.append(path)
    return damaged


def _damaged_checkpoints(folder: Path) -> list[Path]:
    """The checkpoints of a run folder that a kill or a full disk left cut short."""
    folders = sorted((folder / "checkpoints").glob("epoch_*"))
    return [f for f in folders if re.fullmatch(r"epoch_\d+", f.name) and not _is_whole(f)]


def _is_whole(checkpoint: Path) -> bool:
    """Whether a checkpoint can be read, as far as shows without its arrays."""
    try:
        state = json.loads((checkpoint / "state.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    arrays = [checkpoint / name for name in _ARRAYS]
    arrays += checkpoint.glob("maps.npz")
    # The table of a zip file is at its end.
    return isinstance(state, dict) and "epoch" in state and all(map(zipfile.is_zipfile, arrays))


def _move_away_others(job: Job) -> None:
    """Renames what a trial of this number left that had other values, as after a lost record."""
    if not job.settings.exists():
        return
    try:
        is_same = TrainConfig.load(job.settings) == job.config
    except ValueError:
        # Not whole. The run folder has its own copy, which the training compares.
        is_same = True
    if is_same:
        return
    number = 1
    while (aside := job.folder.with_name(f"{job.folder.name}.earlier-{number}")).exists():
        number += 1
    for path, suffix in ((job.folder, ""), (job.settings, ".json"), (job.log, ".log")):
        if path.exists():
            path.rename(aside.with_name(aside.name + suffix))
