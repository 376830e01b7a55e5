"""Predictions for any number of image files, decoded in threads while the session runs."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from serve.files import ImageFile
from serve.finite import PROBLEM
from serve.images import UnreadableImageError
from serve.model import Model
from serve.prediction import Prediction, cue_shares, top_k


@dataclass(frozen=True)
class Result:
    """The result for one file: an answer, or the reason why there is none.

    Attributes:
        file: The file.
        predictions: The most probable classes, most probable first; empty without an answer.
        logits: [K] float32; None without an answer.
        heatmap: [h, w] float32 in [0, 1]; None if the model has none.
        cues: Share of the evidence on each cue, by name; None if the model has none.
        ticked_share: Share on all ticked cues, in [0, 1]; None without cues.
        overlay: Path of the overlay written, if any.
        error: Why the file has no answer, or why its overlay failed; None without an error.
    """

    file: ImageFile
    predictions: Sequence[Prediction] = ()
    logits: NDArray[np.float32] | None = None
    heatmap: NDArray[np.float32] | None = None
    cues: dict[str, float] | None = None
    ticked_share: float | None = None
    overlay: str | None = None
    error: str | None = None


Finish = Callable[[Result], Result]
"""A step after the answer that also runs in the threads, such as drawing an overlay."""


def predict_files(
    model: Model,
    files: Iterable[ImageFile],
    *,
    k: int,
    batch_size: int,
    workers: int,
    finish: Finish | None = None,
) -> Iterator[Result]:
    """Yield a result for each file, in order.

    At most two batches of decoded images wait for the session, and two of answers for `finish`:
    memory does not grow with the number of files.

    Args:
        model: The model to run.
        files: The files.
        k: Number of classes per file.
        batch_size: Images per run of the session, >= 1.
        workers: Threads for decoding and `finish`, >= 1.
        finish: Called with each answer, in a thread.

    Raises:
        RuntimeError: The session failed.
    """
    remaining = iter(files)
    decoding: deque[tuple[ImageFile, Future[NDArray[np.uint8] | str]]] = deque()
    finishing: deque[Future[Result] | Result] = deque()
    with _threads(workers) as pool:
        while True:
            # Submitted before the session runs, to keep the threads busy meanwhile.
            for file in islice(remaining, 3 * batch_size - len(decoding)):
                decoding.append((file, pool.submit(_read, model, file)))
            if not decoding:
                break
            batch = [decoding.popleft() for _ in range(min(batch_size, len(decoding)))]
            for result in _predict_batch(model, batch, k):
                if finish is None or result.error is not None:
                    finishing.append(result)
                else:
                    finishing.append(pool.submit(finish, result))
            while len(finishing) > 2 * batch_size:
                yield _result_of(finishing.popleft())
        while finishing:
            yield _result_of(finishing.popleft())


@contextmanager
def _threads(workers: int) -> Iterator[ThreadPoolExecutor]:
    pool = ThreadPoolExecutor(workers, thread_name_prefix="images")
    try:
        yield pool
    finally:
        # On an error or Ctrl-C, pending work is dropped.
        pool.shutdown(wait=True, cancel_futures=True)


def _read(model: Model, file: ImageFile) -> NDArray[np.uint8] | str:
    """Return the image, or why it cannot be used."""
    try:
        return model.read(file.path)
    except UnreadableImageError as error:
        return error.reason
    except OSError as error:
        return f"cannot be opened: {error.strerror}"


def _predict_batch(
    model: Model, batch: list[tuple[ImageFile, Future[NDArray[np.uint8] | str]]], k: int
) -> Iterator[Result]:
    """Yield the results of a batch in order, from one run of the session."""
    read = [(file, future.result()) for file, future in batch]
    images = [image for _, image in read if not isinstance(image, str)]
    answers = model.run(np.stack(images)) if images else None
    row = 0
    for file, image in read:
        if isinstance(image, str) or answers is None:
            yield Result(file, error=str(image))
            continue
        one = answers.rows(row, row + 1)
        row += 1
        checked = [one.logits, one.probabilities, one.cues, one.ticked_share]
        if not all(np.isfinite(array).all() for array in checked if array is not None):
            yield Result(file, error=f"the model's output {PROBLEM}")
            continue
        logits = one.logits[0]
        yield Result(
            file,
            top_k(one.probabilities[0], model.card.labels, k, logits_row=logits),
            logits,
            None if one.heatmaps is None else one.heatmaps[0],
            cue_shares(one, model.card),
            None if one.ticked_share is None else float(one.ticked_share[0]),
        )


def _result_of(result: Future[Result] | Result) -> Result:
    return result.result() if isinstance(result, Future) else result
