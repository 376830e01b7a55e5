"""TrialRunner: takes trials from an oracle, near or far, and runs some at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from keras_tuner.engine.trial import TrialStatus

from proxy_keras.settings import TrainConfig
from tuner.job import TRAINING, Job
from tuner.searching.space import Space
from tuner.searching.trial_run import TrialRun, fail, last_message

_LOOK_S = 0.05
_ASK_S = 0.5


class TrialSource(Protocol):
    """Where trials come from: an oracle of this process, or the chief of several machines."""

    def create_trial(self, tuner_id: str) -> Any:
        """The next trial of a worker."""

    def update_trial(self, trial_id: str, metrics: dict[str, float], step: int = 0) -> Any:
        """Takes the objective of a trial."""

    def end_trial(self, trial: Any) -> None:
        """Takes note that a trial has ended."""


@dataclass(frozen=True)
class TrialJobs:
    """The training that each trial stands for.

    Attributes:
        space: What is searched.
        base: The settings that all trials share.
        folder: Where the run folders are.
        module: The command that trains; see `Job`.
    """

    space: Space
    base: TrainConfig
    folder: Path
    module: str = TRAINING

    def epochs(self, trial: Any) -> int:
        """Epochs of a trial: its own, where the algorithm gave it some."""
        return int(trial.hyperparameters.values.get("tuner/epochs", self.base.epochs))

    def config(self, trial: Any) -> TrainConfig:
        """The settings of a trial.

        Raises:
            ValueError: Its values do not go together.
        """
        return self.space.config(self.base, trial.hyperparameters.values, self.epochs(trial))

    def run_folder(self, trial: Any) -> Path:
        """The run folder of a trial."""
        return self.folder / f"{int(trial.trial_id):04d}"

    def job(self, trial: Any) -> Job:
        """The training of a trial; ValueError as in `config`."""
        return Job(self.config(trial), self.run_folder(trial), self.module)

    def why_failed(self, trial: Any) -> str:
        """The message of a trial that failed."""
        return str(trial.message or last_message(Job(self.base, self.run_folder(trial))))


class TrialRunner:
    """Runs the trials of a source until it has no more.

    Args:
        source: The oracle.
        jobs: What to run for a trial.
        objective: `val_accuracy` or `val_loss`.
        tuner_ids: A name for each of the trials that run at a time.
        threads: Of each training.
        say: Called with a line of news.
        begun: Called with each trial that begins.
        ended: Called with each trial that has ended.
        beat: Called often while trials run, with each of them.
    """

    def __init__(
        self,
        source: TrialSource,
        jobs: TrialJobs,
        *,
        objective: str,
        tuner_ids: Sequence[str],
        threads: int,
        say: Callable[[str], None],
        begun: Callable[[Any], None],
        ended: Callable[[Any], None],
        beat: Callable[[Any], None] = lambda trial: None,
    ) -> None:
        self._source = source
        self._jobs = jobs
        self._objective = objective
        self._threads = threads
        self._say = say
        self._begun = begun
        self._ended = ended
        self._beat = beat
        # When each worker without a trial asks again.
        self._ask_at = dict.fromkeys(tuner_ids, 0.0)
        self._running: dict[str, TrialRun] = {}

    def run(self) -> None:
        """Runs all trials. Their processes end with this call, however it ends."""
        try:
            while self._ask_at or self._running:
                for tuner_id, at in list(self._ask_at.items()):
                    if time.monotonic() >= at:
                        self._ask(tuner_id)
                for tuner_id, run in list(self._running.items()):
                    self._beat(run.trial)
                    if run.step():
                        del self._running[tuner_id]
                        self._report(run.trial, run.score())
                        # Others may have waited for this one.
                        self._ask_at = dict.fromkeys([*self._ask_at, tuner_id], 0.0)
                time.sleep(_LOOK_S)
        finally:
            for run in self._running.values():
                run.stop()

    def _ask(self, tuner_id: str) -> None:
        """Takes a trial for a worker, if there is one."""
        trial = self._source.create_trial(tuner_id)
        if trial.status == TrialStatus.STOPPED:
            del self._ask_at[tuner_id]
        elif trial.status == TrialStatus.IDLE:
            self._ask_at[tuner_id] = time.monotonic() + _ASK_S
        else:
            self._start(tuner_id, trial)

    def _start(self, tuner_id: str, trial: Any) -> None:
        try:
            job = self._jobs.job(trial)
        except ValueError as error:
            fail(Job(self._jobs.base, self._jobs.run_folder(trial)), str(error))
            self._report(trial, None)
            return
        del self._ask_at[tuner_id]
        self._begun(trial)
        self._running[tuner_id] = TrialRun(
            trial, job, objective=self._objective, threads=self._threads, say=self._say
        )

    def _report(self, trial: Any, score: float | None) -> None:
        if score is None:
            trial.status = TrialStatus.FAILED
            trial.message = self._jobs.why_failed(trial)
        else:
            step = self._jobs.epochs(trial)
            self._source.update_trial(trial.trial_id, {self._objective: score}, step=step)
            trial.status = TrialStatus.COMPLETED
        self._source.end_trial(trial)
        self._ended(trial)
