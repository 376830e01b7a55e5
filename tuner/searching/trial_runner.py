"""TrialRunner: parallel execution of trials from a local or remote oracle."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from keras_tuner.engine.trial import TrialStatus

from proxy_keras.settings import TrainConfig
from tuner.job import TRAINING, Job
from tuner.launcher import Launcher
from tuner.searching.space import Space
from tuner.searching.trial_run import TrialRun, last_message, log_error

_POLL_S = 0.05
_RETRY_S = 0.5


class TrialSource(Protocol):
    """Source of trials: an oracle of this process, or the chief of a distributed search."""

    def create_trial(self, tuner_id: str) -> Any:
        """Return the next trial of a worker."""

    def update_trial(self, trial_id: str, metrics: dict[str, float], step: int = 0) -> Any:
        """Record the objective of a trial."""

    def end_trial(self, trial: Any) -> None:
        """Record the end of a trial."""


@dataclass(frozen=True)
class TrialJobs:
    """Training runs of the trials.

    Attributes:
        space: The search space.
        base: Settings that all trials share.
        folder: Parent of the run folders.
        module: The training module; see `Job`.
    """

    space: Space
    base: TrainConfig
    folder: Path
    module: str = TRAINING

    def epochs(self, trial: Any) -> int:
        """Return the number of epochs of a trial, which the algorithm may set."""
        return int(trial.hyperparameters.values.get("tuner/epochs", self.base.epochs))

    def config(self, trial: Any) -> TrainConfig:
        """Return the settings of a trial.

        Raises:
            ValueError: Its values are incompatible.
        """
        return self.space.config(self.base, trial.hyperparameters.values, self.epochs(trial))

    def run_folder(self, trial: Any) -> Path:
        """Return the run folder of a trial."""
        return self.folder / f"{int(trial.trial_id):04d}"

    def job(self, trial: Any) -> Job:
        """Return the job of a trial; raises ValueError as `config` does."""
        return Job(self.config(trial), self.run_folder(trial), self.module)

    def failure_message(self, trial: Any) -> str:
        """Return the error message of a failed trial."""
        return str(trial.message or last_message(Job(self.base, self.run_folder(trial))))


class TrialRunner:
    """Runner of the trials of a source, until it has no more.

    Args:
        source: The oracle or chief.
        jobs: The training runs of the trials.
        objective: One of `OBJECTIVES`.
        tuner_ids: Names of the parallel workers.
        threads: TensorFlow threads of each training process.
        notify: Called with progress messages.
        on_start: Called with each trial that starts.
        on_end: Called with each trial that has ended.
        heartbeat: Called frequently with each running trial.
    """

    def __init__(
        self,
        source: TrialSource,
        jobs: TrialJobs,
        *,
        objective: str,
        tuner_ids: Sequence[str],
        threads: int,
        notify: Callable[[str], None],
        on_start: Callable[[Any], None],
        on_end: Callable[[Any], None],
        heartbeat: Callable[[Any], None] = lambda trial: None,
    ) -> None:
        self._source = source
        self._jobs = jobs
        self._objective = objective
        self._launcher = Launcher(threads)
        self._notify = notify
        self._on_start = on_start
        self._on_end = on_end
        self._heartbeat = heartbeat
        # When each idle worker asks again.
        self._ask_at = dict.fromkeys(tuner_ids, 0.0)
        self._running: dict[str, TrialRun] = {}

    def run(self) -> None:
        """Run all trials. All their processes end with this call, even on an error."""
        try:
            while self._ask_at or self._running:
                for tuner_id, at in list(self._ask_at.items()):
                    if time.monotonic() >= at:
                        self._ask(tuner_id)
                for tuner_id, run in list(self._running.items()):
                    self._heartbeat(run.trial)
                    if run.step():
                        del self._running[tuner_id]
                        self._report(run.trial, run.score())
                        # Idle workers may have waited for this trial.
                        self._ask_at = dict.fromkeys([*self._ask_at, tuner_id], 0.0)
                time.sleep(_POLL_S)
        finally:
            for run in self._running.values():
                run.stop()
            self._launcher.close()

    def _ask(self, tuner_id: str) -> None:
        """Request a trial for a worker."""
        trial = self._source.create_trial(tuner_id)
        if trial.status == TrialStatus.STOPPED:
            del self._ask_at[tuner_id]
        elif trial.status == TrialStatus.IDLE:
            self._ask_at[tuner_id] = time.monotonic() + _RETRY_S
        else:
            self._start(tuner_id, trial)

    def _start(self, tuner_id: str, trial: Any) -> None:
        try:
            job = self._jobs.job(trial)
        except ValueError as error:
            log_error(Job(self._jobs.base, self._jobs.run_folder(trial)), str(error))
            self._report(trial, None)
            return
        del self._ask_at[tuner_id]
        self._on_start(trial)
        self._running[tuner_id] = TrialRun(
            trial, job, objective=self._objective, launcher=self._launcher, notify=self._notify
        )

    def _report(self, trial: Any, score: float | None) -> None:
        if score is None:
            trial.status = TrialStatus.FAILED
            trial.message = self._jobs.failure_message(trial)
        else:
            step = self._jobs.epochs(trial)
            self._source.update_trial(trial.trial_id, {self._objective: score}, step=step)
            trial.status = TrialStatus.COMPLETED
        self._source.end_trial(trial)
        self._on_end(trial)
