"""`python -m tuner.search`: searches for settings, and goes on wherever it was interrupted."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Sequence
from typing import Any

from keras_tuner.engine.trial import TrialStatus
from keras_tuner.src.distribute.utils import has_chief_oracle, is_chief_oracle
from tqdm import tqdm

from tuner.job import TRAINING
from tuner.searching.chief import CHIEF_SILENT_S, ChiefGone, PatientClient, serve
from tuner.searching.oracle_files import OracleFiles
from tuner.searching.oracles import make_oracle
from tuner.searching.resumable_oracle import ENDED
from tuner.searching.search_folder import SearchFolder
from tuner.searching.search_options import Options, read_options
from tuner.searching.search_results import Results
from tuner.searching.trial_runner import TrialJobs, TrialRunner, TrialSource

_HOPELESS = 5


class SearchFailed(RuntimeError):
    """A search in which nothing works."""


class Search:
    """One search, as this process takes part in it.

    Args:
        options: What was asked for.
        module: The command that trains; see `Job`.

    Raises:
        ValueError: The space offers what cannot be trained.
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
            min_epochs=space.shortest(base),
            seed=base.seed,
            files=OracleFiles(self._folder.oracle),
        )
        is_hyperband = options.algorithm == "hyperband"
        space.check(base, self._oracle.rounds() if is_hyperband else [base.epochs])
        self._jobs = TrialJobs(space, base, self._folder.trials, module)
        self._results = Results(self._oracle, self._jobs, self._folder)
        self._bar: tqdm[None] | None = None
        self._failed = 0

    def run(self) -> None:
        """Runs all trials here.

        Raises:
            ValueError: The folder is of another search, or in use.
            SearchFailed: No trial can be trained.
        """
        with self._folder.lock():
            self._begin()
            self._oracle.give_up_all()
            self._run_trials(self._oracle, "worker")
            self._finish()

    def lead(self, address: str) -> None:
        """Gives trials to the workers of other processes; raises as `run` does."""
        with self._folder.lock():
            self._begin()
            self._say(f"gives trials to workers that come to {address}")
            serve(
                self._oracle,
                address,
                worker_timeout_s=self._options.worker_timeout_s,
                say=self._say,
                begun=self._begun,
                ended=self._ended,
            )
            self._finish()

    def work(self) -> None:
        """Runs trials of the chief of another process.

        Raises:
            ValueError: The chief runs another search.
            ChiefGone: The chief does not answer.
        """
        if self._options.is_fresh:
            raise ValueError("`--fresh` is for the chief alone. Leave it out.")
        self._folder.wait_for(self._options.identity(), timeout_s=CHIEF_SILENT_S)
        client = PatientClient(self._oracle)
        self._run_trials(client, client.tuner_id, beat=client.beat)

    def _begin(self) -> None:
        """Takes up what is there, or begins anew."""
        if self._options.is_fresh and self._folder.has_begun:
            self._confirm()
            self._say(f"what was there is in {self._folder.put_away()}")
        messages = self._folder.begin(self._options.identity())
        for message in [*messages, *self._oracle.restore()]:
            print(message, file=sys.stderr)
        trials = list(self._oracle.trials.values())
        done = sum(trial.status in ENDED for trial in trials)
        if trials:
            self._say(f"goes on with {done} trials done and {len(trials) - done} under way")
        if not self._options.is_quiet and sys.stderr.isatty():
            self._bar = tqdm(total=self._oracle.max_trials, initial=done, unit="trial")

    def _confirm(self) -> None:
        if self._options.is_sure:
            return
        question = f"Begin anew, and move the search in {self._folder.path} aside?"
        if not sys.stdin.isatty():
            raise ValueError(f"{question} There is no terminal to ask at: add --yes.")
        if input(f"{question} [y/N] ").strip().lower() not in ("y", "yes"):
            raise ValueError("Nothing was changed.")

    def _run_trials(
        self,
        source: TrialSource,
        name: str,
        beat: Callable[[Any], None] = lambda trial: None,
    ) -> None:
        workers = self._options.workers
        is_local = source is self._oracle
        TrialRunner(
            source,
            self._jobs,
            objective=self._options.objective,
            tuner_ids=[f"{name}-{number}" for number in range(workers)],
            threads=max(1, (os.cpu_count() or 1) // workers),
            say=self._say,
            begun=self._begun,
            # The chief knows the other trials, too, and says how this one compares.
            ended=self._ended if is_local else lambda trial: None,
            beat=beat,
        ).run()

    def _begun(self, trial: Any) -> None:
        self._say(f"trial {int(trial.trial_id):04d}: {self._results.settings(trial)}")

    def _ended(self, trial: Any) -> None:
        self._results.write()
        done = sum(trial.status in ENDED for trial in self._oracle.trials.values())
        total = self._oracle.max_trials
        count = f"{done} of {total}" if total else f"{done}"
        self._say(f"[{count}] {self._results.line(trial)}")
        if self._bar is not None:
            self._bar.update()
        self._failed += trial.status == TrialStatus.FAILED
        if self._failed >= _HOPELESS and not self._results.best():
            raise SearchFailed(
                f"{self._failed} trials have failed and none was completed. The last one: "
                f"{self._jobs.why_failed(trial)} Their logs are in {self._folder.trials}."
            )

    def _finish(self) -> None:
        """Tells what came out."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
        self._results.write()
        if not self._results.best():
            raise SearchFailed(
                f"No trial was completed. results.csv tells why each failed: {self._folder.results}"
            )
        print(self._results.table())
        print(f"all trials: {self._folder.results}")
        best = shlex.quote(str(self._folder.best))
        print(f"next: python -m proxy_keras.train --config {best} --out runs/best")

    def _say(self, line: str) -> None:
        if not self._options.is_quiet:
            tqdm.write(line)
            sys.stdout.flush()


def main(arguments: Sequence[str] | None = None, *, module: str = TRAINING) -> int:
    """Runs the command.

    Args:
        arguments: Of the command line; None: this process's.
        module: The command that trains, to be run as `python -m MODULE`; see `Job`.

    Returns:
        0: done; 2: bad arguments, bad data or no trial that works; 130: interrupted.
    """
    try:
        search = Search(read_options(arguments), module)
        role = _role()
        if role == "chief":
            host = os.environ["KERASTUNER_ORACLE_IP"]
            search.lead(f"{host}:{os.environ['KERASTUNER_ORACLE_PORT']}")
        elif role == "worker":
            search.work()
        else:
            search.run()
    except (ValueError, OSError, SearchFailed, ChiefGone) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        words = sys.argv[1:] if arguments is None else arguments
        print(f"\nstopped. Go on with: python -m tuner.search {shlex.join(words)}")
        return 130
    return 0


def _role() -> str | None:
    """`chief` or `worker` of a search over several processes, as KerasTuner's variables say."""
    try:
        if not has_chief_oracle():
            return None
    except RuntimeError as error:
        raise ValueError(str(error)) from error
    return "chief" if is_chief_oracle() else "worker"


if __name__ == "__main__":
    sys.exit(main())
