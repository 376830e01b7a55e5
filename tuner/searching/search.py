"""A hyperparameter search that resumes after interruptions, on one machine or several."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable
from typing import Any

from keras_tuner.engine.trial import TrialStatus
from keras_tuner.src.distribute.utils import has_chief_oracle, is_chief_oracle
from tqdm import tqdm

from tuner.job import TRAINING
from tuner.searching.chief import CHIEF_TIMEOUT_S, RetryingClient, serve
from tuner.searching.objectives import SearchError
from tuner.searching.oracle_files import OracleFiles
from tuner.searching.oracles import make_oracle
from tuner.searching.resumable_oracle import ENDED
from tuner.searching.search_folder import SearchFolder
from tuner.searching.search_options import Options
from tuner.searching.search_results import Results
from tuner.searching.trial_runner import TrialJobs, TrialRunner, TrialSource

_MAX_FAILURES = 5


class SearchFailed(SearchError):
    """Error of a search in which no trial succeeds."""


class Search:
    """Search, or this process's part of a distributed one.

    Args:
        options: Options of the search.
        module: The training module; see `Job`.

    Raises:
        ValueError: The space has invalid values.
    """

    def __init__(self, options: Options, module: str) -> None:
        base, space = options.base, options.space
        self._options = options
        self._folder = SearchFolder(options.out)
        self._oracle = make_oracle(
            options.algorithm,
            space=space.hyperparameters(),
            objective=options.objective,
            trials=options.trials,
            epochs=base.epochs,
            min_epochs=space.min_epochs(base),
            seed=base.seed,
            files=OracleFiles(self._folder.oracle),
        )
        is_hyperband = options.algorithm == "hyperband"
        space.check(base, self._oracle.epoch_counts() if is_hyperband else [base.epochs])
        self._jobs = TrialJobs(space, base, self._folder.trials, module)
        self._results = Results(self._oracle, self._jobs, self._folder)
        self._bar: tqdm[None] | None = None
        self._failed = 0

    def run(self) -> None:
        """Run all trials in this process.

        Raises:
            ValueError: The folder belongs to another search, or is in use.
            SearchFailed: All trials fail.
        """
        with self._folder.lock():
            self._begin()
            self._oracle.requeue_all()
            self._run_trials(self._oracle, "worker")
            self._finish()

    def run_chief(self, address: str) -> None:
        """Serve trials to the workers of other processes; raises as `run` does."""
        with self._folder.lock():
            self._begin()
            self._notify(f"serving trials to workers at {address}")
            serve(
                self._oracle,
                address,
                worker_timeout_s=self._options.worker_timeout_s,
                notify=self._notify,
                on_start=self._on_start,
                on_end=self._on_end,
            )
            self._finish()

    def run_worker(self) -> None:
        """Run trials of a chief in another process.

        Raises:
            ValueError: The chief runs another search.
            ChiefUnavailable: The chief does not respond.
        """
        if self._options.is_fresh:
            raise ValueError("`--fresh` is only for the chief. Remove it.")
        self._folder.wait_for_chief(self._options.identity(), timeout_s=CHIEF_TIMEOUT_S)
        client = RetryingClient(self._oracle)
        self._run_trials(client, client.tuner_id, heartbeat=client.heartbeat)

    def _begin(self) -> None:
        """Resume the search in the folder, or start a new one."""
        if self._options.is_fresh and self._folder.has_search:
            self._confirm()
            self._notify(f"moved the existing search to {self._folder.archive()}")
        messages = self._folder.begin(self._options.identity())
        for message in [*messages, *self._oracle.restore()]:
            print(message, file=sys.stderr)
        trials = list(self._oracle.trials.values())
        done = sum(trial.status in ENDED for trial in trials)
        if trials:
            self._notify(f"resuming: {done} trials done, {len(trials) - done} in progress")
        if not self._options.is_quiet and sys.stderr.isatty():
            self._bar = tqdm(total=self._oracle.max_trials, initial=done, unit="trial")

    def _confirm(self) -> None:
        if self._options.assume_yes:
            return
        question = f"Start over, and archive the search in {self._folder.path}?"
        if not sys.stdin.isatty():
            raise ValueError(f"{question} There is no terminal for an answer: add --yes.")
        if input(f"{question} [y/N] ").strip().lower() not in ("y", "yes"):
            raise ValueError("Nothing was changed.")

    def _run_trials(
        self,
        source: TrialSource,
        name: str,
        heartbeat: Callable[[Any], None] = lambda trial: None,
    ) -> None:
        workers = self._options.workers
        is_local = source is self._oracle
        TrialRunner(
            source,
            self._jobs,
            objective=self._options.objective,
            tuner_ids=[f"{name}-{number}" for number in range(workers)],
            threads=max(1, (os.cpu_count() or 1) // workers),
            notify=self._notify,
            on_start=self._on_start,
            # The chief knows all trials and reports how this one compares.
            on_end=self._on_end if is_local else lambda trial: None,
            heartbeat=heartbeat,
        ).run()

    def _on_start(self, trial: Any) -> None:
        self._notify(f"trial {int(trial.trial_id):04d}: {self._results.settings(trial)}")

    def _on_end(self, trial: Any) -> None:
        self._results.write()
        done = sum(trial.status in ENDED for trial in self._oracle.trials.values())
        total = self._oracle.max_trials
        count = f"{done} of {total}" if total else f"{done}"
        self._notify(f"[{count}] {self._results.line(trial)}")
        if self._bar is not None:
            self._bar.update()
        self._failed += trial.status == TrialStatus.FAILED
        if self._failed >= _MAX_FAILURES and not self._results.best():
            raise SearchFailed(
                f"{self._failed} trials failed and none was completed. The last error: "
                f"{self._jobs.failure_message(trial)} Logs are in {self._folder.trials}."
            )

    def _finish(self) -> None:
        """Write and print the results."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
        self._results.write()
        if not self._results.best():
            raise SearchFailed(
                f"No trial was completed. For the errors, see {self._folder.results}"
            )
        print(self._results.table())
        for note in self._results.notes(self._options.base.epochs):
            print(f"note: {note}", file=sys.stderr)
        print(f"all trials: {self._folder.results}")
        best = shlex.quote(str(self._folder.best))
        print(f"next: python -m proxy_keras.train --config {best} --out runs/best")

    def _notify(self, line: str) -> None:
        if not self._options.is_quiet:
            tqdm.write(line)
            sys.stdout.flush()


def run_search(options: Options, module: str = TRAINING) -> None:
    """Run a search, or this process's part of it, by KerasTuner's environment variables.

    Args:
        options: Options of the search.
        module: The training module, run as `python -m MODULE`; see `Job`.

    Raises:
        ValueError, OSError: The space, the folder or the data cannot be used.
        SearchFailed: No trial succeeds.
        ChiefUnavailable: The chief does not respond.
    """
    search = Search(options, module)
    role = _role()
    if role == "chief":
        host = os.environ["KERASTUNER_ORACLE_IP"]
        search.run_chief(f"{host}:{os.environ['KERASTUNER_ORACLE_PORT']}")
    elif role == "worker":
        search.run_worker()
    else:
        search.run()


def _role() -> str | None:
    """Return `chief` or `worker` by KerasTuner's environment variables; None if they are unset."""
    try:
        if not has_chief_oracle():
            return None
    except RuntimeError as error:
        raise ValueError(str(error)) from error
    return "chief" if is_chief_oracle() else "worker"
