"""ResumableOracle: what KerasTuner's oracles lack to go on exactly where a search was killed.

As they are (1.4.8), a kill between two of their writes loses a trial or runs one twice, and three
failed trials in a row end the search. What is drawn is theirs, unchanged.
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
    """Comes before an oracle of KerasTuner: all that a step changes is written in one piece."""

    files: OracleFiles
    _seed_state: int
    _retry_queue: list[str]
    _writing = False

    def create_trial(self, tuner_id: str) -> Any:
        """The trial that a worker takes up; see `keras_tuner.Oracle`.

        A worker is not sent home while a trial of another runs: should that one die, its trial is
        left to be taken up.
        """
        with self._one_write():
            seed_state = self._seed_state
            trial = super().create_trial(tuner_id)
            if trial.status == TrialStatus.STOPPED and self.ongoing_trials:
                trial.status = TrialStatus.IDLE
                self.tuner_ids.add(tuner_id)
            if trial.status != TrialStatus.RUNNING:
                # How often a worker asks in vain must not change what is drawn later.
                self._seed_state = seed_state
        return trial

    def end_trial(self, trial: Any) -> None:
        """Takes note that a trial has ended; see `keras_tuner.Oracle`.

        One that was given to a second worker may be reported twice: the first report counts.
        """
        with self._one_write():
            known = self.trials[trial.trial_id]
            if trial.trial_id not in self.end_order:
                # A worker's copy has been through a network, and KerasTuner would keep it.
                trial.hyperparameters = known.hyperparameters
                super().end_trial(trial)
            self._forget(trial.trial_id)

    def give_up(self, tuner_id: str) -> Any | None:
        """Puts back the trial of a worker that is gone, and returns it, or None if it had none."""
        with self._one_write():
            self.tuner_ids.discard(tuner_id)
            trial = self.ongoing_trials.pop(tuner_id, None)
            if trial is not None:
                self._retry_queue.append(trial.trial_id)
        return trial

    def give_up_all(self) -> None:
        """Puts back the trials of all workers, which have ended with their search."""
        # The queue is taken from its end, and the oldest trial is to be the first.
        ongoing = sorted(self.ongoing_trials.items(), key=lambda entry: int(entry[1].trial_id))
        for tuner_id, _ in reversed(ongoing):
            self.give_up(tuner_id)

    def restore(self) -> list[str]:
        """Reads what an earlier process wrote, and repairs what is damaged.

        Returns:
            A line on each file that was repaired or set aside.
        """
        state, messages = self.files.read_state()
        records, damaged = self.files.read_trials()
        if state is not None:
            self._restore_from(state)
        elif records:
            self._rebuild(records)
            messages.append(f"the search is put together from {len(records)} trial.json files")
        for trial in self.trials.values():
            if records.get(trial.trial_id) is None:
                self._save_trial(trial)
        if messages or damaged or state is None:
            self.save()
        return messages + damaged

    def get_state(self) -> dict[str, Any]:
        """The whole state, trials included, as JSON values."""
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
        """Writes the state, at the end of the step that is under way."""
        if not self._writing:
            self.files.write_state(self.get_state())

    def _save_trial(self, trial: Any) -> None:
        self.files.write_trial(trial.trial_id, trial.get_state())

    @contextlib.contextmanager
    def _one_write(self) -> Iterator[None]:
        """Holds back what is written of the state until all of a step is done."""
        before = len(self.start_order), len(self.end_order), len(self.ongoing_trials)
        self._writing = True
        try:
            yield
        finally:
            self._writing = False
        if before != (len(self.start_order), len(self.end_order), len(self.ongoing_trials)):
            self.save()

    def _forget(self, trial_id: str) -> None:
        """Takes an ended trial from whoever else was to run it."""
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
        """Puts the state together from the records of the trials."""
        for trial_id in sorted(records, key=int):
            record = records[trial_id]
            if record is None:
                # Its number must not be given to another trial.
                trial = Trial(self.hyperparameters.copy(), trial_id, TrialStatus.FAILED)
                trial.hyperparameters.values = {}
                trial.message = "what was known of it is lost"
            else:
                trial = Trial.from_state(record)
            self.trials[trial_id] = trial
        whole = [trial for trial in self.trials.values() if trial.hyperparameters.values]
        self.start_order = list(self.trials)
        self.end_order = [i for i, trial in self.trials.items() if trial.status in ENDED]
        self._run_times.update(dict.fromkeys(self.end_order, 1))
        # The queue is taken from its end.
        self._retry_queue = [i for i in reversed(self.trials) if i not in self.end_order]
        for trial in whole:
            if self._is_random(trial):
                # Drawn again, and thrown away, so that later draws are new.
                self._random_values()
            self._record_values(trial)
        self._rebuild_order(whole)

    def _is_random(self, trial: Any) -> bool:
        """Whether the values of a trial were drawn at random."""
        return True

    def _rebuild_order(self, trials: list[Any]) -> None:
        """Puts together what an algorithm knows beyond the trials themselves."""
