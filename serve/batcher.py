"""The batcher: groups images of concurrent requests and runs them in its own thread."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from serve.model import Answers

_logger = logging.getLogger(__name__)

_POLL_S = 0.005


class BatchError(RuntimeError):
    """A failure of the model on a batch; later batches are not affected."""


class BatchModel(Protocol):
    """A model that runs batches, such as `serve.model.Model`."""

    def run(self, images: NDArray[Any]) -> Answers:
        """Return the answers for images [N, H, W, 3]."""


class Prepared(Protocol):
    """A decoded request."""

    @property
    def images(self) -> NDArray[Any]:
        """The images [n, H, W, 3], as the model takes them."""


PreparedT = TypeVar("PreparedT", bound=Prepared)


@dataclass(eq=False, slots=True)
class _Job:
    """One queued request.

    Attributes:
        model: The model to run.
        images: [n, H, W, 3], prepared for this model.
        answers: Future for the answers; resolved on its event loop.
        since: Time of arrival, on the monotonic clock.
    """

    model: BatchModel
    images: NDArray[Any]
    answers: asyncio.Future[Answers]
    since: float


class Batcher:
    """A queue of requests, run in batches: when a batch is full or its oldest image times out.

    The thread takes its next batch as soon as it finishes one, without the event loop: while a
    batch runs, the next one fills up. Requests keep their order and are never split.

    Only requests for the same model share a batch. To replace a model, submit further requests with
    the new one: queued requests run on the model they were prepared for.
    """

    def __init__(
        self,
        *,
        max_batch: int,
        max_wait_s: float,
        on_batch: Callable[[int, float], None] | None = None,
    ) -> None:
        """Start the thread.

        Args:
            max_batch: Most images in a batch, >= 1.
            max_wait_s: Longest time an image waits for others, in seconds.
            on_batch: Called in the thread after each batch with its size and seconds.
        """
        self._max_batch = max_batch
        self._max_wait_s = max_wait_s
        self._on_batch = on_batch
        self._changed = threading.Condition()
        self._jobs: deque[_Job] = deque()
        self._rows = 0
        self._closing = False
        # A daemon, so that the process can exit without waiting for a long batch.
        self._thread = threading.Thread(target=self._work, name="batches", daemon=True)
        self._thread.start()

    @property
    def queued_images(self) -> int:
        """The number of images waiting for their batch to start."""
        return self._rows

    async def submit(
        self, model: BatchModel, prepare: Callable[[], PreparedT], pool: Executor
    ) -> tuple[PreparedT, Answers]:
        """Prepare one request and run a model on its images.

        The images pass directly from the thread that prepares them to the one that runs them. A
        cancelled call returns immediately; if its batch is already running, its answers are
        discarded.

        Args:
            model: The model to run.
            prepare: Creates the images, 1 to `max_batch`, as `model` takes them.
            pool: Runs `prepare`.

        Returns:
            The result of `prepare`, and the answers for its images.

        Raises:
            ValueError: There are no images, or more than fit in a batch.
            BatchError: The model failed.
            RuntimeError: The batcher is closed.
            Exception: Any error of `prepare`.
        """
        loop = asyncio.get_running_loop()
        answers: asyncio.Future[Answers] = loop.create_future()
        prepared: list[PreparedT] = []

        def prepare_and_queue() -> None:
            try:
                prepared.append(prepare())
                self._queue(_Job(model, prepared[0].images, answers, time.monotonic()))
            except Exception as error:
                # Raised by the caller, on the event loop.
                _call_in_loop(loop, _fail, answers, error)

        work = pool.submit(prepare_and_queue)
        try:
            outcome = await answers
        except asyncio.CancelledError:
            work.cancel()
            self._discard(answers)
            raise
        return prepared[0], outcome

    async def close(self) -> None:
        """Refuse further requests, and wait until the queue is empty."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        # Polled, because a thread blocked in `join` could not be cancelled.
        while self._thread.is_alive():
            await asyncio.sleep(_POLL_S)

    def _queue(self, job: _Job) -> None:
        rows = len(job.images)
        if not 1 <= rows <= self._max_batch:
            raise ValueError(f"A request must have 1 to {self._max_batch} images. Received: {rows}")
        with self._changed:
            if self._closing:
                raise RuntimeError("The batcher is closed and accepts no more images.")
            # Cancelled during preparation.
            if job.answers.cancelled():
                return
            self._jobs.append(job)
            self._rows += rows
            # In other cases the thread has nothing to decide and can keep sleeping.
            if len(self._jobs) == 1 or self._rows >= self._max_batch:
                self._changed.notify()

    def _discard(self, answers: asyncio.Future[Answers]) -> None:
        with self._changed:
            for job in self._jobs:
                if job.answers is answers:
                    self._jobs.remove(job)
                    self._rows -= len(job.images)
                    self._changed.notify()
                    return

    def _work(self) -> None:
        while jobs := self._next_batch():
            start = time.monotonic()
            try:
                outcome: Answers | BatchError = _run(jobs)
            except Exception as error:
                # The thread must survive any error, since other requests wait for it.
                _logger.exception("The model failed on a batch of %d requests", len(jobs))
                outcome = BatchError(f"The model failed: {type(error).__name__}")
            if self._on_batch is not None:
                self._on_batch(sum(len(job.images) for job in jobs), time.monotonic() - start)
            _call_in_loop(jobs[0].answers.get_loop(), _resolve, jobs, outcome)

    def _next_batch(self) -> list[_Job]:
        """Wait for the next batch and return its jobs; none once the batcher is closed."""
        with self._changed:
            while True:
                if not self._jobs:
                    if self._closing:
                        return []
                    self._changed.wait()
                    continue
                count, is_full = self._first_batch()
                rest_s = self._jobs[0].since + self._max_wait_s - time.monotonic()
                if is_full or self._closing or rest_s <= 0:
                    jobs = [self._jobs.popleft() for _ in range(count)]
                    self._rows -= sum(len(job.images) for job in jobs)
                    return jobs
                self._changed.wait(rest_s)

    def _first_batch(self) -> tuple[int, bool]:
        """Return the number of jobs in the first batch, and whether it is full."""
        model, rows = self._jobs[0].model, 0
        for count, job in enumerate(self._jobs):
            if job.model is not model or rows + len(job.images) > self._max_batch:
                return count, True
            rows += len(job.images)
        return len(self._jobs), rows == self._max_batch


def _run(jobs: list[_Job]) -> Answers:
    images = jobs[0].images if len(jobs) == 1 else np.concatenate([job.images for job in jobs])
    answers = jobs[0].model.run(images)
    if len(answers.logits) != len(images):
        raise ValueError(
            f"The model returned {len(answers.logits)} answers for {len(images)} images."
        )
    return answers


def _call_in_loop(
    loop: asyncio.AbstractEventLoop, call: Callable[..., None], *args: object
) -> None:
    try:
        loop.call_soon_threadsafe(call, *args)
    except RuntimeError:
        # A second signal closed the loop.
        _logger.warning("Answers arrived after the server stopped")


def _fail(answers: asyncio.Future[Answers], error: Exception) -> None:
    if not answers.done():
        answers.set_exception(error)


def _resolve(jobs: list[_Job], outcome: Answers | BatchError) -> None:
    start = 0
    for job in jobs:
        stop = start + len(job.images)
        if isinstance(outcome, BatchError):
            _fail(job.answers, outcome)
        elif not job.answers.done():
            job.answers.set_result(outcome.rows(start, stop))
        start = stop
