"""Job: one training in a process of its own, and many of them side by side."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
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

TRAINING = "proxy_keras.train"
_LOG_LINES = 5
_LOOK_S = 0.2


class JobError(RuntimeError):
    """A training that ended without its result.

    Attributes:
        exit_code: Of its process; negative: the signal that ended it.
    """

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@dataclass(frozen=True)
class Job:
    """One training. Its process ends with it, and so does the memory that it took.

    The process also ends with the one that started it, and two never train in one folder: a second
    one waits for the first, which another call may have started.

    Attributes:
        config: The settings.
        folder: The run folder. What it holds is gone on with, epoch by epoch.
        module: The command that trains: `python -m MODULE --config FILE --out DIR --resume`.
    """

    config: TrainConfig
    folder: Path
    module: str = TRAINING

    @property
    def log(self) -> Path:
        """Where the process writes what it prints; a run that goes on adds to it."""
        return self.folder.with_name(f"{self.folder.name}.log")

    @property
    def settings(self) -> Path:
        """The settings as they were asked for, beside the run folder."""
        return self.folder.with_name(f"{self.folder.name}.json")

    @property
    def lock(self) -> Path:
        """Whose lock is held by whoever trains in the folder."""
        return self.folder.with_name(f"{self.folder.name}.lock")


@contextlib.contextmanager
def started(job: Job, *, threads: int | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """The running process of a job, which is stopped when the block is left before it has ended.

    Args:
        job: The training.
        threads: Threads of TensorFlow in that process; None: as many as there are processors.
    """
    job.folder.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "tuner.child", job.module, "--config", str(job.settings)]
    command += ["--out", str(job.folder), "--resume", "--quiet"]
    with FileLock(job.lock) as lock, job.log.open("ab") as log:
        lock.take(wait=True)
        write_atomically(job.settings, job.config.save)
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            env=_environment(threads),
            pass_fds=(lock.handle,) if sys.platform != "win32" else (),
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                try:
                    process.wait(timeout=20)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
            if process.stdin is not None:
                process.stdin.close()


def result(job: Job, exit_code: int) -> dict[str, Any]:
    """What a job's `metrics.json` says after its process has ended.

    Raises:
        JobError: The process failed, or left no result.
    """
    metrics = _finished(job) if exit_code == 0 else None
    if metrics is None:
        lines = job.log.read_text(encoding="utf-8", errors="replace").splitlines()
        last = "\n".join(lines[-_LOG_LINES:]) or "(it printed nothing)"
        raise JobError(
            f"The training in {job.folder} ended with exit code {exit_code}. Its last lines "
            f"({job.log}):\n{last}",
            exit_code,
        )
    return metrics


def run(
    job: Job, *, threads: int | None = None, stop: threading.Event | None = None
) -> dict[str, Any]:
    """Trains to the end, and returns the content of `metrics.json`.

    Args:
        job: The training. One that is done already is not started again.
        threads: See `started`.
        stop: Stops the training once it is set.

    Raises:
        JobError: The process failed, left no result or a damaged one, or was stopped.
    """
    done = _finished(job)
    if done is not None and _same_settings(job):
        return done
    stop = stop or threading.Event()
    with started(job, threads=threads) as process:
        while not stop.is_set():
            with contextlib.suppress(subprocess.TimeoutExpired):
                return result(job, process.wait(timeout=_LOOK_S))
    raise JobError(f"The training in {job.folder} was stopped.", process.returncode)


def run_all(
    jobs: Sequence[Job],
    *,
    workers: int = 1,
    threads: int | None = None,
    report: Callable[[Job, dict[str, Any] | JobError], None],
) -> None:
    """Runs jobs, as many at a time as there are workers. Their processes end with this call.

    Args:
        jobs: The trainings, in the order in which they begin.
        workers: Trainings at a time, >= 1.
        threads: See `started`; None: the processors divided by the workers.
        report: Called in this thread with each job that has ended, and its metrics or its failure.
    """
    threads = threads or max(1, (os.cpu_count() or 1) // workers)
    waiting = list(reversed(jobs))
    running: dict[Future[dict[str, Any]], Job] = {}
    stop = threading.Event()
    with ThreadPoolExecutor(workers) as pool:
        try:
            while waiting or running:
                while waiting and len(running) < workers:
                    job = waiting.pop()
                    running[pool.submit(run, job, threads=threads, stop=stop)] = job
                ended, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in ended:
                    job = running.pop(future)
                    error = future.exception()
                    if isinstance(error, JobError):
                        report(job, error)
                    else:
                        report(job, future.result())
        finally:
            # The pool waits for its threads, and they for their trainings.
            stop.set()


def check_source(source: str) -> None:
    """Returns unless a source of data is missing, which each training would find out in turn.

    Raises:
        ValueError: It is no name of data, and no file or folder that is there.
    """
    form, _, file = source.partition(":")
    path = file if form == "npz" and file else source
    if source in ("digits", "decoy_digits") or form == "tfds" or Path(path).exists():
        return
    raise ValueError(
        f"`--data` {source!r} is not there. Give digits, decoy_digits, a folder, npz:FILE or "
        "tfds:NAME."
    )


def _finished(job: Job) -> dict[str, Any] | None:
    """The content of a job's `metrics.json`; None where it has not ended; JobError if damaged."""
    try:
        return finished_metrics(job.folder)
    except ValueError as error:
        raise JobError(
            f"{job.folder / 'metrics.json'} is damaged: {error}. Delete {job.folder} to train it "
            "again.",
            0,
        ) from error


def _same_settings(job: Job) -> bool:
    """Whether a finished run was asked for with the very settings of this job."""
    try:
        return job.settings.exists() and TrainConfig.load(job.settings) == job.config
    except ValueError:
        # The training compares them with those of its run folder, after this file is written anew.
        return False


def _environment(threads: int | None) -> dict[str, str]:
    environment = {"TF_CPP_MIN_LOG_LEVEL": "2", **os.environ}
    if threads is not None:
        environment |= {
            "TF_NUM_INTRAOP_THREADS": str(threads),
            "TF_NUM_INTEROP_THREADS": str(threads),
            "OMP_NUM_THREADS": str(threads),
        }
    return environment
