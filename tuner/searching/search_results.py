"""The results of a search: one row per trial, the best settings, and a table."""

from __future__ import annotations

import contextlib
import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from keras_tuner.engine.trial import TrialStatus

from proxy_keras.io.atomic_files import write_atomically, write_text_atomically
from proxy_keras.training.run_folder import finished_metrics
from tuner.searching.search_folder import SearchFolder
from tuner.searching.trial_run import last_value
from tuner.searching.trial_runner import TrialJobs

TABLE_ROWS = 5
"""Rows of the table of the best trials."""


@dataclass(frozen=True)
class Result:
    """Result of one trial.

    Attributes:
        trial: The trial of KerasTuner.
        value: The objective after the last epoch; None if the trial is not completed.
        epochs: Number of epochs.
        seconds: Duration of the epochs; None if unknown.
        determinism: Whether operations were deterministic: `on`, `off`, `mixed`; empty if unknown.
        settings: Active searched settings by name.
        message: Error message of a failed trial, else empty.
    """

    trial: Any
    value: float | None
    epochs: int
    seconds: float | None
    determinism: str
    settings: dict[str, Any]
    message: str


class Results:
    """Current results of a search.

    Args:
        oracle: One of `tuner.searching.oracles`.
        jobs: The training runs of the trials.
        folder: The folder for `results.csv` and `best.json`.
    """

    def __init__(self, oracle: Any, jobs: TrialJobs, folder: SearchFolder) -> None:
        self._oracle = oracle
        self._jobs = jobs
        self._folder = folder
        self._names = list(jobs.space.parameters)
        # Objective, seconds and determinism of completed trials, cached by id.
        self._known: dict[str, tuple[float, float | None, str]] = {}

    def all(self) -> list[Result]:
        """Return the results of all trials, sorted by number."""
        return [self._result(t) for t in sorted(self._oracle.trials.values(), key=_number)]

    def best(self) -> list[Result]:
        """Return the completed trials, longest runs first, and the best of these first."""
        sign = -1 if self._oracle.objective.direction == "max" else 1
        completed = [r for r in self.all() if r.value is not None]
        # Hyperband's values after a few epochs are not comparable with final ones.
        return sorted(completed, key=lambda r: (-r.epochs, sign * (r.value or 0.0)))

    def write(self) -> None:
        """Write `results.csv`, and `best.json` once a trial is completed."""
        rows = self.all()
        objective = self._oracle.objective.name
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        head = ["trial", "status", objective, "epochs", "seconds", "op_determinism", "folder"]
        writer.writerow([*head, *self._names, "message"])
        for row in rows:
            writer.writerow(
                [
                    _name(row.trial),
                    row.trial.status.lower(),
                    "" if row.value is None else f"{row.value:.17g}",
                    row.epochs,
                    "" if row.seconds is None else f"{row.seconds:.1f}",
                    row.determinism,
                    self._jobs.run_folder(row.trial).relative_to(self._folder.path),
                    *(row.settings.get(name, "") for name in self._names),
                    row.message,
                ]
            )
        write_text_atomically(self._folder.results, text.getvalue())
        best = self.best()
        if best:
            write_atomically(self._folder.best, self._jobs.config(best[0].trial).save)

    def table(self) -> str:
        """Return a text table of the best trials."""
        rows = self.best()[:TABLE_ROWS]
        head = ["trial", self._oracle.objective.name, "epochs", *self._names]
        cells = [
            [
                _name(row.trial),
                f"{row.value:.4f}",
                str(row.epochs),
                *(_text(row.settings.get(name, "-")) for name in self._names),
            ]
            for row in rows
        ]
        return _aligned([head, *cells])

    def notes(self, epochs: int) -> list[str]:
        """Return messages about what a finished search did not do, or does not promise.

        Args:
            epochs: Number of epochs of the longest planned runs.
        """
        notes = []
        ended, planned = len(self._oracle.trials), self._oracle.max_trials
        if planned is not None and ended < planned:
            notes.append(
                f"the search ended after {ended} of {planned} trials, because the space has no "
                "more combinations"
            )
        best = self.best()
        if best and best[0].epochs < epochs:
            notes.append(
                f"no trial completed all {epochs} epochs; the best ones ran for "
                f"{best[0].epochs}. Raise --trials, or see {self._folder.results} for failed trials"
            )
        count = sum(result.determinism in ("off", "mixed") for result in best)
        if count:
            notes.append(
                f"op determinism was off in {count} of {len(best)} completed trials "
                "(--no-determinism): training them again gives slightly different values"
            )
        return notes

    def line(self, trial: Any) -> str:
        """Return a message about a trial that has ended."""
        result = self._result(trial)
        if result.value is None:
            return f"trial {_name(trial)} failed: {result.message}"
        best = self.best()[0]
        seconds = "" if result.seconds is None else f" in {result.seconds:.0f} s"
        return (
            f"trial {_name(trial)}: {self._oracle.objective.name} {result.value:.4f} after "
            f"{result.epochs} epochs{seconds}; best {best.value:.4f} (trial {_name(best.trial)})"
        )

    def settings(self, trial: Any) -> str:
        """Return the sampled settings of a trial as text."""
        values = self._jobs.space.active(trial.hyperparameters.values)
        return " ".join(f"{name}={_text(value)}" for name, value in values.items())

    def _result(self, trial: Any) -> Result:
        # Empty for a trial with a lost record.
        values = trial.hyperparameters.values
        is_completed = trial.status == TrialStatus.COMPLETED
        value, seconds, determinism = self._measured(trial) if is_completed else (None, None, "")
        return Result(
            trial,
            value,
            self._jobs.epochs(trial),
            seconds,
            determinism,
            self._jobs.space.active(values) if values else {},
            self._jobs.failure_message(trial) if trial.status == TrialStatus.FAILED else "",
        )

    def _measured(self, trial: Any) -> tuple[float, float | None, str]:
        """Return the objective, the seconds and the determinism of a completed trial."""
        if trial.trial_id not in self._known:
            folder, metrics = self._jobs.run_folder(trial), None
            value = float(trial.score)
            # Users may delete run folders to free space; the score is enough.
            with contextlib.suppress(OSError, ValueError):
                # KerasTuner's gRPC calls round the score.
                value = last_value(folder, self._oracle.objective.name)
                metrics = finished_metrics(folder)
            seconds = float(metrics["seconds"]) if metrics else None
            determinism = metrics.get("op_determinism", "on") if metrics else ""
            self._known[trial.trial_id] = (value, seconds, determinism)
        return self._known[trial.trial_id]


def _number(trial: Any) -> int:
    return int(trial.trial_id)


def _name(trial: Any) -> str:
    return f"{_number(trial):04d}"


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
