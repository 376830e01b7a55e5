"""Searches by one worker without training, and files that simulate a kill."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from keras_tuner.engine.trial import TrialStatus

from tuner.searching.oracle_files import OracleFiles

Found = list[tuple[str, dict[str, Any]]]


class Killed(Exception):
    """Simulated kill -9."""


class DeadlyFiles(OracleFiles):
    """Files that simulate a kill at the n-th write."""

    def __init__(self, folder: Path, writes: int) -> None:
        super().__init__(folder)
        self.left = writes

    def write_state(self, state: Any) -> None:
        self._count()
        super().write_state(state)

    def write_trial(self, trial_id: str, state: Any) -> None:
        self._count()
        super().write_trial(trial_id, state)

    def _count(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise Killed


def score(values: dict[str, Any]) -> float:
    return float(values.get("weight", 0.1)) + 0.01 * len(values["replacement"])


def run(
    oracle: Any,
    *,
    fails: Callable[[str], bool] = lambda trial_id: False,
    score: Callable[[dict[str, Any]], float] = score,
) -> None:
    """Run all trials as one worker."""
    while (trial := oracle.create_trial("worker-0")).status != TrialStatus.STOPPED:
        if fails(trial.trial_id):
            trial.status = TrialStatus.FAILED
        else:
            metrics = {"val_accuracy": score(trial.hyperparameters.values)}
            oracle.update_trial(trial.trial_id, metrics, step=6)
            trial.status = TrialStatus.COMPLETED
        oracle.end_trial(trial)


def found(oracle: Any, score: Callable[[dict[str, Any]], float] = score) -> Found:
    """Return the tried values, in order."""
    assert list(oracle.trials) == oracle.start_order == oracle.end_order
    assert all(
        trial.score == pytest.approx(score(trial.hyperparameters.values), abs=0)
        for trial in oracle.trials.values()
    )
    return [(i, dict(trial.hyperparameters.values)) for i, trial in oracle.trials.items()]
