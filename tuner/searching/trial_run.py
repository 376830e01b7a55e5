"""TrialRun: one trial in its own process, from its values to its score."""

from __future__ import annotations

import contextlib
import csv
import json
import math
import re
import signal
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from proxy_keras.io import full_disk
from proxy_keras.settings import TrainConfig
from proxy_keras.training.run_folder import finished_metrics
from tuner.file_lock import is_locked
from tuner.job import Job, started
from tuner.launcher import Launcher, Process
from tuner.searching.objectives import SearchError
from tuner.searching.oracle_files import free_path, set_aside

MAX_KILLS = 3
"""Number of kills after which a trial fails."""
_STOPPED = 130
_ARRAYS = ("weights.npz", "optimizer.npz", "proxies.npz")


def last_value(folder: Path, name: str) -> float:
    """Return the value of a metric after the last epoch of a run.

    Args:
        folder: Folder of a finished run.
        name: A column of `history.csv`.

    Returns:
        The number; NaN if the cell is empty, as after divergence.

    Raises:
        OSError, ValueError: `history.csv` is missing, or has no number there.
    """
    path = folder / "history.csv"
    try:
        with path.open(encoding="utf-8", newline="") as file:
            text = list(csv.DictReader(file))[-1][name]
        return math.nan if text == "" else float(text)
    except (ValueError, KeyError, IndexError, TypeError, csv.Error) as error:
        raise ValueError(
            f"{path} must end with a number for {name}, but cannot be read: {error!r}"
        ) from error


def last_message(job: Job) -> str:
    """Return the last line in the log of a job, without "error: "."""
    text = job.log.read_text(encoding="utf-8", errors="replace") if job.log.exists() else ""
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].removeprefix("error: ") if lines else "(it printed nothing)"


def log_error(job: Job, message: str) -> None:
    """Append an error to the log of a job."""
    job.log.parent.mkdir(parents=True, exist_ok=True)
    with job.log.open("a", encoding="utf-8") as log:
        log.write(f"error: {message}\n")


class TrialRun:
    """Running trial.

    Args:
        trial: The trial of KerasTuner.
        job: Training run of the trial.
        objective: The column of `history.csv` whose last value is the score.
        launcher: What starts its process.
        notify: Called with progress messages.
    """

    def __init__(
        self,
        trial: Any,
        job: Job,
        *,
        objective: str,
        launcher: Launcher,
        notify: Callable[[str], None],
    ) -> None:
        self.trial = trial
        self._job = job
        self._objective = objective
        self._launcher = launcher
        self._notify = notify
        self._kills = 0
        self._has_waited = False
        self._block = contextlib.ExitStack()
        self._process: Process | None = None

    def step(self) -> bool:
        """Advance without blocking, and return whether the trial has ended; see `score`.

        Raises:
            SearchError: The disk is full. The trial has not ended, and can be resumed.
        """
        if self._process is None:
            return self._begin()
        code = self._process.poll()
        if code is None:
            return False
        self.stop()
        if code == full_disk.EXIT_CODE:
            raise SearchError(
                f"Trial {self.trial.trial_id} found the disk full, so the search has stopped: see "
                f"{self._job.log}. Free some space, and run the same command again."
            )
        if code < 0 or code == _STOPPED:
            return self._on_kill(code)
        return True

    def score(self) -> float | None:
        """Return the objective of an ended trial; None if it failed, with the reason in its log."""
        if finished_metrics(self._job.folder) is None:
            return None
        try:
            value = last_value(self._job.folder, self._objective)
        except (OSError, ValueError) as error:
            log_error(self._job, str(error))
            return None
        if math.isfinite(value):
            return value
        log_error(self._job, f"training diverged: {self._objective} is {value}")
        return None

    def stop(self) -> None:
        """Stop the process, if any, after its current step."""
        self._block.close()
        self._process = None

    def _begin(self) -> bool:
        job = self._job
        if is_locked(job.lock):
            if not self._has_waited:
                self._notify(
                    f"trial {self.trial.trial_id}: another process is training it; waiting"
                )
            self._has_waited = True
            return False
        _archive_other_run(job)
        self._set_aside(_damaged(job.folder))
        if finished_metrics(job.folder) is not None:
            return True
        # Training then resumes from the previous checkpoint, or starts over.
        self._set_aside(_damaged_checkpoints(job.folder))
        self._process = self._block.enter_context(started(job, self._launcher))
        return False

    def _set_aside(self, damaged: list[Path]) -> None:
        for path in damaged:
            self._notify(set_aside(path))

    def _on_kill(self, code: int) -> bool:
        """Handle a killed process, and return whether the trial has failed."""
        name = signal.Signals(-code).name if code < 0 else "SIGINT"
        self._kills += 1
        if self._kills < MAX_KILLS:
            self._notify(
                f"trial {self.trial.trial_id}: its process was killed by {name}; resuming after "
                "its last epoch"
            )
            return False
        log_error(
            self._job,
            f"the process was killed {MAX_KILLS} times, the last time by {name}. Is there too "
            "little memory?",
        )
        return True


def _damaged(folder: Path) -> list[Path]:
    """Return the damaged files of a run folder that training rewrites."""
    damaged = []
    for path in (folder / "config.json", folder / "metrics.json"):
        if path.exists():
            try:
                json.loads(path.read_text(encoding="utf-8"))
            except ValueError:
                damaged.append(path)
    return damaged


def _damaged_checkpoints(folder: Path) -> list[Path]:
    """Return the checkpoints that a kill or a full disk left incomplete."""
    folders = sorted((folder / "checkpoints").glob("epoch_*"))
    return [f for f in folders if re.fullmatch(r"epoch_\d+", f.name) and not _is_complete(f)]


def _is_complete(checkpoint: Path) -> bool:
    """Return whether a checkpoint seems readable, without loading its arrays."""
    try:
        state = json.loads((checkpoint / "state.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    arrays = [checkpoint / name for name in _ARRAYS]
    arrays += checkpoint.glob("maps.npz")
    # The directory of a zip file is at its end.
    return isinstance(state, dict) and "epoch" in state and all(map(zipfile.is_zipfile, arrays))


def _archive_other_run(job: Job) -> None:
    """Rename a run of the same number with other values, as after a lost record."""
    if not job.settings.exists():
        return
    try:
        is_same = TrainConfig.load(job.settings) == job.config
    except ValueError:
        # Not whole. The run folder has its own copy, which the training compares.
        is_same = True
    if is_same:
        return
    aside = free_path(job.folder.with_name(f"{job.folder.name}.earlier"))
    for path, suffix in ((job.folder, ""), (job.settings, ".json"), (job.log, ".log")):
        if path.exists():
            path.rename(aside.with_name(aside.name + suffix))
