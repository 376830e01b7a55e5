"""Job: a training run in its own process, and a pool of such processes."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proxy_keras.io.atomic_files import write_atomically
from proxy_keras.settings import TrainConfig
from proxy_keras.training.run_folder import finished_metrics
from tuner.file_lock import FileLock
from tuner.launcher import Launcher, Process

TRAINING = "proxy_keras.train"
BUNDLED = ("digits", "decoy_digits", "clutter_digits")
_LOG_LINES = 5
_POLL_S = 0.2


class JobError(RuntimeError):
    """Error of a training run that ended without a result.

    Attributes:
        exit_code: Exit code of the process; negative: the signal that ended it.
    """

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@dataclass(frozen=True)
class Job:
    """One run, of a training as a rule, in its own process so that its memory is freed at the end.

    The process ends with its parent. Only one process trains in a folder at a time: a second one
    waits for the first, even if another call started it.

    Attributes:
        config: Training settings.
        folder: The run folder. An unfinished run in it is resumed.
        module: The training command: `python -m MODULE --config FILE --out DIR --resume`.
        arguments: Further arguments of the command.
    """

    config: TrainConfig
    folder: Path
    module: str = TRAINING
    arguments: tuple[str, ...] = ()

    @property
    def log(self) -> Path:
        """The log of the process output; a resumed run appends to it."""
        return self.folder.with_name(f"{self.folder.name}.log")

    @property
    def settings(self) -> Path:
        """The requested settings, next to the run folder."""
        return self.folder.with_name(f"{self.folder.name}.json")

    @property
    def lock(self) -> Path:
        """The lock file, held by the process that trains in the folder."""
        return self.folder.with_name(f"{self.folder.name}.lock")


@contextlib.contextmanager
def started(job: Job, launcher: Launcher) -> Iterator[Process]:
    """Start the process of a job, and stop it if it is still running at the end of the block.

    Args:
        job: The training run.
        launcher: What starts it.
    """
    job.folder.parent.mkdir(parents=True, exist_ok=True)
    words = [job.module, "--config", str(job.settings), "--out", str(job.folder)]
    words += ["--resume", "--quiet", *job.arguments]
    with FileLock(job.lock) as lock, job.log.open("ab") as log:
        lock.acquire(wait=True)
        write_atomically(job.settings, job.config.save)
        process = launcher.start(words, log=log.fileno(), lock=lock.handle)
        try:
            yield process
        finally:
            process.stop()


def result(job: Job, exit_code: int) -> dict[str, Any]:
    """Return the content of a job's `metrics.json` after its process has ended.

    Raises:
        JobError: The process failed, or left no result.
    """
    metrics = _read_result(job) if exit_code == 0 else None
    if metrics is None:
        lines = job.log.read_text(encoding="utf-8", errors="replace").splitlines()
        last = "\n".join(lines[-_LOG_LINES:]) or "(it printed nothing)"
        raise JobError(
            f"The run in {job.folder} ended with exit code {exit_code}. Last lines of "
            f"{job.log}:\n{last}",
            exit_code,
        )
    return metrics


def run(job: Job, launcher: Launcher, stop: threading.Event) -> dict[str, Any]:
    """Train to the end, and return the content of `metrics.json`.

    Args:
        job: The training run. A finished one is not started again.
        launcher: What starts it.
        stop: Stops the run once set.

    Raises:
        JobError: The process failed, left no result or a damaged one, or was stopped.
    """
    done = finished(job)
    if done is not None:
        return done
    with started(job, launcher) as process:
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                return result(job, process.wait(_POLL_S))
    raise JobError(f"The training run in {job.folder} was stopped.", process.returncode or 0)


def run_all(
    jobs: Sequence[Job],
    *,
    workers: int = 1,
    threads: int | None = None,
    report: Callable[[Job, dict[str, Any] | JobError], Sequence[Job]],
) -> None:
    """Run jobs in parallel. All their processes end with this call.

    Args:
        jobs: The training runs, in starting order.
        workers: Number of parallel runs, >= 1.
        threads: TensorFlow threads of each; None: the number of CPUs divided by `workers`.
        report: Called in this thread with each finished job, and its metrics or its error. Returns
            the jobs that can start now; they come before those that wait.
    """
    threads = threads or max(1, (os.cpu_count() or 1) // workers)
    waiting = list(reversed(jobs))
    running: dict[Future[dict[str, Any]], Job] = {}
    stop = threading.Event()
    with Launcher(threads) as launcher, ThreadPoolExecutor(workers) as pool:
        try:
            while waiting or running:
                while waiting and len(running) < workers:
                    job = waiting.pop()
                    running[pool.submit(run, job, launcher, stop)] = job
                ended, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in ended:
                    job = running.pop(future)
                    error = future.exception()
                    outcome = error if isinstance(error, JobError) else future.result()
                    waiting += reversed(report(job, outcome))
        finally:
            # The pool waits for its threads, and these for their processes.
            stop.set()


def check_source(source: str) -> None:
    """Check that a data source exists, before each training run fails on it.

    Raises:
        ValueError: It is neither a data set name nor an existing file or folder.
    """
    form, _, file = source.partition(":")
    path = file if form == "npz" and file else source
    if source in BUNDLED or form == "tfds" or Path(path).exists():
        return
    raise ValueError(
        f"`--data` {source!r} does not exist. Pass {', '.join(BUNDLED)}, a folder, npz:FILE or "
        "tfds:NAME."
    )


def finished(job: Job) -> dict[str, Any] | None:
    """Return the result of a job that has ended with its present settings; None if it has not.

    Raises:
        JobError: The result is damaged.
    """
    done = _read_result(job)
    return done if _same_settings(job) else None


def _read_result(job: Job) -> dict[str, Any] | None:
    """Return the content of `metrics.json`; None if unfinished; JobError if damaged."""
    try:
        return finished_metrics(job.folder)
    except ValueError as error:
        raise JobError(
            f"{job.folder / 'metrics.json'} is damaged: {error}. Delete {job.folder} to retrain.",
            0,
        ) from error


def _same_settings(job: Job) -> bool:
    """Return whether a finished run was trained with the settings of this job."""
    try:
        return job.settings.exists() and TrainConfig.load(job.settings) == job.config
    except ValueError:
        # The training compares them with those of its run folder, after this file is written anew.
        return False
