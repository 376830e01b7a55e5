"""Gathers the images of concurrent requests into batches, and runs them in a thread of its own."""

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
    """The model failed on a batch; its requests get no answer, later ones are not touched."""


class BatchModel(Protocol):
    """What a batch is run on: a `serve.model.Model`."""

    def run(self, images: NDArray[Any]) -> Answers:
        """Answers for [N, H, W, 3] images, row by row."""


class Prepared(Protocol):
    """What became of a request's body."""

    @property
    def images(self) -> NDArray[Any]:
        """[n, H, W, 3] as the model takes them."""


PreparedT = TypeVar("PreparedT", bound=Prepared)


@dataclass(eq=False, slots=True)
class _Job:
    """One request's images, and where its answers go.

    Attributes:
        model: What they were prepared for, and are run on.
        images: [n, H, W, 3].
        answers: Resolved on its event loop.
        since: When they came, on the monotonic clock.
    """

    model: BatchModel
    images: NDArray[Any]
    answers: asyncio.Future[Answers]
    since: float


class Batcher:
    """Runs images in batches: a batch starts when it is full, or when its oldest image has waited.

    The thread takes its next batch the moment it is done with one, without asking the event loop:
    while a batch runs, the next is gathered. Requests keep their order, and none is split.

    Jobs name the model that they are run on, and only jobs of one model share a batch. So a model
    is replaced by submitting to another one: what waits is answered by that it was prepared for.
    """

    def __init__(
        self,
        *,
        max_batch: int,
        max_wait_s: float,
        on_batch: Callable[[int, float], None] | None = None,
    ) -> None:
        """Starts the thread.

        Args:
            max_batch: Most images in a batch, >= 1.
            max_wait_s: How long an image may wait for others, in seconds.
            on_batch: Called in the thread after each batch with its images and seconds.
        """
        self._max_batch = max_batch
        self._max_wait_s = max_wait_s
        self._on_batch = on_batch
        self._changed = threading.Condition()
        self._jobs: deque[_Job] = deque()
        self._rows = 0
        self._closing = False
        # A daemon, so that a second signal ends the process without waiting for a long batch.
        self._thread = threading.Thread(target=self._work, name="batches", daemon=True)
        self._thread.start()

    @property
    def queued_images(self) -> int:
        """Images that wait for their batch to start."""
        return self._rows

    async def submit(
        self, model: BatchModel, prepare: Callable[[], PreparedT], pool: Executor
    ) -> tuple[PreparedT, Answers]:
        """What `prepare` made of one request, and the answers of a model for its images.

        The images go from the thread that prepared them to the one that runs them; the event loop
        is told at the end. A caller that is cancelled leaves at once, wherever its images are; if
        its batch runs already, its rows are computed and dropped.

        Args:
            model: What to run the images on.
            prepare: Makes the images, 1 to `max_batch`, as `model` takes them.
            pool: Runs `prepare`.

        Returns:
            What `prepare` returned, and the rows of the answers that are theirs.

        Raises:
            ValueError: There are no images, or more than fit in a batch.
            BatchError: The model failed.
            RuntimeError: The batcher is closed.
            Exception: Whatever `prepare` raised.
        """
        loop = asyncio.get_running_loop()
        answers: asyncio.Future[Answers] = loop.create_future()
        prepared: list[PreparedT] = []

        def prepare_and_queue() -> None:
            try:
                prepared.append(prepare())
                self._queue(_Job(model, prepared[0].images, answers, time.monotonic()))
            except Exception as error:
                # It is the caller's, who waits on the event loop.
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
        """Returns when all that was submitted has been run; nothing more is taken."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        # Joined by looking: a thread that waits for this one could not be given up.
        while self._thread.is_alive():
            await asyncio.sleep(_POLL_S)

    def _queue(self, job: _Job) -> None:
        rows = len(job.images)
        if not 1 <= rows <= self._max_batch:
            raise ValueError(f"A request must have 1 to {self._max_batch} images. Received: {rows}")
        with self._changed:
            if self._closing:
                raise RuntimeError("The batcher is closed: it takes no more images.")
            # Cancelled while it was prepared.
            if job.answers.cancelled():
                return
            self._jobs.append(job)
            self._rows += rows
            # Between these two moments the thread has nothing to decide, and is left asleep.
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
                # Whatever a session raises, the thread must live on: others wait for it.
                _logger.exception("The model failed on a batch of %d requests", len(jobs))
                outcome = BatchError(f"The model failed: {type(error).__name__}")
            if self._on_batch is not None:
                self._on_batch(sum(len(job.images) for job in jobs), time.monotonic() - start)
            _deliver(jobs, outcome)

    def _next_batch(self) -> list[_Job]:
        """The jobs of the next batch, once it shall start; none when all is done."""
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
        """How many of the first jobs go together, and whether no other can join them."""
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
        raise ValueError(f"{len(images)} images came back as {len(answers.logits)} answers.")
    return answers


def _deliver(jobs: list[_Job], outcome: Answers | BatchError) -> None:
    """Hands the answers to the event loop that waits for them, in one call."""
    _call_in_loop(jobs[0].answers.get_loop(), _resolve, jobs, outcome)


def _call_in_loop(
    loop: asyncio.AbstractEventLoop, say: Callable[..., None], *arguments: object
) -> None:
    try:
        loop.call_soon_threadsafe(say, *arguments)
    except RuntimeError:
        # The loop was closed by a second signal: nobody waits any more.
        _logger.warning("Answers came after the end of the server")


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
            job.answers.set_result(_rows(outcome, start, stop))
        start = stop


def _rows(answers: Answers, start: int, stop: int) -> Answers:
    heatmaps = None if answers.heatmaps is None else answers.heatmaps[start:stop]
    return Answers(answers.logits[start:stop], answers.probabilities[start:stop], heatmaps)
