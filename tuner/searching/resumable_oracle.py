"""ResumableOracle: a mixin that makes KerasTuner's oracles resume exactly after a kill.

In KerasTuner 1.4.8, a kill between two writes loses a trial or runs one twice, and three failed
trials in a row end the search. The drawn values are unchanged.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from keras_tuner import Oracle
from keras_tuner.engine.trial import Trial, TrialStatus

from tuner.searching.oracle_files import OracleFiles

ENDED = (TrialStatus.COMPLETED, TrialStatus.FAILED)


class ResumableOracle(Oracle):
    """Mixin for an oracle of KerasTuner that writes all changes of a step at once."""

    files: OracleFiles
    _seed_state: int
    _retry_queue: list[str]
    _writing = False

    def create_trial(self, tuner_id: str) -> Any:
        """Return the next trial of a worker; see `keras_tuner.Oracle`.

        Workers are not stopped while trials of others run, so that they can take over the trial
        of a worker that dies.
        """
        with self._single_write():
            seed_state = self._seed_state
            trial = super().create_trial(tuner_id)
            if trial.status == TrialStatus.STOPPED and self.ongoing_trials:
                trial.status = TrialStatus.IDLE
                self.tuner_ids.add(tuner_id)
            if trial.status != TrialStatus.RUNNING:
                # Unsuccessful requests must not change later draws.
                self._seed_state = seed_state
        return trial

    def end_trial(self, trial: Any) -> None:
        """Record the end of a trial; see `keras_tuner.Oracle`.

        A trial reassigned to a second worker may be reported twice. The first report counts.
        """
        with self._single_write():
            known = self.trials[trial.trial_id]
            if trial.trial_id not in self.end_order:
                # KerasTuner would keep the worker's copy, whose values gRPC has rounded.
                trial.hyperparameters = known.hyperparameters
                super().end_trial(trial)
            self._forget(trial.trial_id)

    def requeue(self, tuner_id: str) -> Any | None:
        """Requeue the trial of a dead worker, and return it; None if it had none."""
        with self._single_write():
            self.tuner_ids.discard(tuner_id)
            trial = self.ongoing_trials.pop(tuner_id, None)
            if trial is not None:
                self._retry_queue.append(trial.trial_id)
        return trial

    def requeue_all(self) -> None:
        """Requeue the trials of all workers, which ended with the previous process."""
        # The queue is popped from its end; the oldest trial comes first.
        ongoing = sorted(self.ongoing_trials.items(), key=lambda entry: int(entry[1].trial_id))
        for tuner_id, _ in reversed(ongoing):
            self.requeue(tuner_id)

    def restore(self) -> list[str]:
        """Restore the state that an earlier process wrote, and repair damaged files.

        Returns:
            A message for each repaired or renamed file.
        """
        state, messages = self.files.read_state()
        records, damaged = self.files.read_trials()
        if state is not None:
            self._restore_from(state)
        elif records:
            self._rebuild(records)
            messages.append(f"the search was rebuilt from {len(records)} trial.json files")
        for trial in self.trials.values():
            if records.get(trial.trial_id) is None:
                self._save_trial(trial)
        if messages or damaged or state is None:
            self.save()
        return messages + damaged

    def get_state(self) -> dict[str, Any]:
        """Return the whole state, including the trials, as JSON values."""
        state = super().get_state()
        state["trials"] = {
            trial_id: {
                "values": trial.hyperparameters.values,
                "status": trial.status,
                "score": trial.score,
                "best_step": trial.best_step,
                "message": trial.message,
            }
            for trial_id, trial in self.trials.items()
        }
        return state

    def save(self) -> None:
        """Write the state, unless a step that writes it at its end is in progress."""
        if not self._writing:
            self.files.write_state(self.get_state())

    def _save_trial(self, trial: Any) -> None:
        self.files.write_trial(trial.trial_id, trial.get_state())

    @contextlib.contextmanager
    def _single_write(self) -> Iterator[None]:
        """Delay writing the state until the end of a step."""
        before = len(self.start_order), len(self.end_order), len(self.ongoing_trials)
        self._writing = True
        try:
            yield
        finally:
            self._writing = False
        if before != (len(self.start_order), len(self.end_order), len(self.ongoing_trials)):
            self.save()

    def _forget(self, trial_id: str) -> None:
        """Remove an ended trial from the queue and from other workers."""
        self._retry_queue = [waiting for waiting in self._retry_queue if waiting != trial_id]
        for tuner_id, trial in list(self.ongoing_trials.items()):
            if trial.trial_id == trial_id:
                del self.ongoing_trials[tuner_id]

    def _restore_from(self, state: dict[str, Any]) -> None:
        for trial_id, record in state["trials"].items():
            trial = Trial(self.hyperparameters.copy(), trial_id, record["status"])
            trial.hyperparameters.values = dict(record["values"])
            trial.message = record["message"]
            trial.score, trial.best_step = record["score"], record["best_step"]
            if trial.score is not None:
                name, direction = self.objective.name, self.objective.direction
                trial.metrics.register(name, direction=direction)
                trial.metrics.update(name, trial.score, step=trial.best_step)
            self.trials[trial_id] = trial
        self.set_state(state)

    def _rebuild(self, records: dict[str, dict[str, Any] | None]) -> None:
        """Rebuild the state from the records of the trials."""
        for trial_id in sorted(records, key=int):
            record = records[trial_id]
            if record is None:
                # Its number must not be reused.
                trial = Trial(self.hyperparameters.copy(), trial_id, TrialStatus.FAILED)
                trial.hyperparameters.values = {}
                trial.message = "its record is lost"
            else:
                trial = Trial.from_state(record)
            self.trials[trial_id] = trial
        known = [trial for trial in self.trials.values() if trial.hyperparameters.values]
        self.start_order = list(self.trials)
        self.end_order = [i for i, trial in self.trials.items() if trial.status in ENDED]
        self._run_times.update(dict.fromkeys(self.end_order, 1))
        # The queue is popped from its end.
        self._retry_queue = [i for i in reversed(self.trials) if i not in self.end_order]
        for trial in known:
            if self._is_random(trial):
                # Advance the random state, so that later draws are new.
                self._random_values()
            self._record_values(trial)
        self._rebuild_order(known)

    def _is_random(self, trial: Any) -> bool:
        """Return whether the values of a trial were drawn at random."""
        return True

    def _rebuild_order(self, trials: list[Any]) -> None:
        """Rebuild the state of the algorithm beyond the trials."""
