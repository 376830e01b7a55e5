"""Search for the largest batch size that trains in reasonable time and memory."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from proxy_keras.io.extras import extra
from proxy_keras.io.progress import progress_bar
from proxy_keras.training.optimizer import make_optimizer
from proxy_keras.training.trial_steps import make_step, preserve_variables

_FIRST = 8
_LARGEST = 512
# With fewer steps per epoch, the optimizer learns too little from a small data set.
_FEWEST_STEPS = 8
_TIMED_STEPS = 3
_SAMPLE_INTERVAL_S = 0.005


@dataclass(frozen=True)
class Trial:
    """One batch size that was tried.

    Attributes:
        batch_size: Images per step.
        step_s: Median seconds per training step; None if it ran out of memory.
        memory_bytes: Main memory that the steps added to the process.
    """

    batch_size: int
    step_s: float | None
    memory_bytes: int


@dataclass(frozen=True)
class BatchSizeResult:
    """Result of a batch size search.

    Attributes:
        batch_size: The largest one within the limits.
        trials: The sizes tried, in order.
        reason: Why the search stopped there.
    """

    batch_size: int
    trials: tuple[Trial, ...]
    reason: str

    def __str__(self) -> str:
        """Return the result as a small table."""
        lines = ["batch size |  seconds/step | memory, MB"]
        for trial in self.trials:
            seconds = "out of memory" if trial.step_s is None else f"{trial.step_s:.3f}"
            lines.append(
                f"{trial.batch_size:10d} | {seconds:>13} | {trial.memory_bytes / 1e6:10.0f}"
            )
        lines.append(f"batch size {self.batch_size}: {self.reason}")
        return "\n".join(lines)


def find_batch_size(
    model: keras.Model,
    image_size: int,
    num_classes: int,
    *,
    n_train: int,
    budget_s: float = 2.0,
    memory_share: float = 0.5,
    progress: bool = True,
) -> BatchSizeResult:
    """Return the largest batch size that fits, with all trials.

    Runs training steps on noise with 8, 16, 32, ... images, up to 512 and an eighth of the training
    images. On a GPU the search stops when memory runs out; on a CPU when a step takes longer than
    `budget_s`, or when twice the memory of the last trial would exceed `memory_share` of the free
    memory. The model stays unchanged: weights, moving averages, random states, compile settings.

    Args:
        model: A classifier with logits, [B, P, P, 3] to [B, K].
        image_size: P.
        num_classes: K.
        n_train: Number of training images, >= 1.
        budget_s: Maximum seconds per step on a CPU, > 0. The first size is accepted even if slower.
        memory_share: Maximum share of the free main memory for a step, in (0, 1].
        progress: Whether to show a progress bar.

    Raises:
        ValueError: An argument is outside its range.
        MemoryError: Not even the smallest batch fits.
    """
    if n_train < 1 or budget_s <= 0.0 or not 0.0 < memory_share <= 1.0:
        raise ValueError(
            "`n_train` must be >= 1, `budget_s` > 0 and `memory_share` in (0, 1]. Received:"
            f" n_train={n_train}, budget_s={budget_s}, memory_share={memory_share}"
        )
    with extra("train"):
        import psutil

    sizes = _sizes(n_train)
    on_gpu = bool(tf.config.list_physical_devices("GPU"))
    allowed_bytes = memory_share * psutil.virtual_memory().available
    base_bytes = psutil.Process().memory_info().rss
    trials: list[Trial] = []
    best: int | None = None
    reason = (
        f"larger sizes would exceed {_LARGEST} or leave fewer than {_FEWEST_STEPS} steps per epoch"
    )
    bar = progress_bar(sizes, desc="batch size", leave=False, shown=progress)
    with preserve_variables(model), bar:
        step = make_step(
            model,
            make_optimizer(total_steps=1, one_cycle=False),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )
        for size in bar:
            if trials and not on_gpu and 2 * trials[-1].memory_bytes > allowed_bytes:
                reason = f"{size} would need more than {allowed_bytes / 1e6:.0f} MB of memory"
                break
            images, labels = _noise(size, image_size, num_classes)
            with _PeakMemory() as peak:
                step_s = _median_step_s(step, images, labels, budget_s)
            trials.append(Trial(size, step_s, max(0, peak.rss_bytes - base_bytes)))
            if step_s is None:
                reason = f"{size} runs out of memory"
                break
            if step_s > budget_s and not on_gpu:
                reason = f"a step with {size} takes longer than {budget_s:g} s"
                best = best or size
                break
            best = size
    if best is None:
        raise MemoryError(
            f"A training step with {trials[0].batch_size} images of {image_size} px runs out of"
            " memory. Use a smaller image_size, a smaller model, or set the batch size by hand."
        )
    return BatchSizeResult(best, tuple(trials), reason)


def _sizes(n_train: int) -> list[int]:
    """Return the batch sizes to try: at least one, each double the one before."""
    largest = min(_LARGEST, max(1, n_train // _FEWEST_STEPS))
    sizes = [min(_FIRST, largest)]
    while 2 * sizes[-1] <= largest:
        sizes.append(2 * sizes[-1])
    return sizes


def _noise(
    batch_size: int, image_size: int, num_classes: int
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Return images [B, P, P, 3] in [0, 255] and labels [B], without a global generator."""
    rng = np.random.default_rng(0)
    images = rng.uniform(0.0, 255.0, (batch_size, image_size, image_size, 3))
    return images.astype(np.float32), rng.integers(0, num_classes, batch_size, np.int32)


def _median_step_s(
    step: Callable[[Any, Any], tf.Tensor], images: Any, labels: Any, budget_s: float
) -> float | None:
    """Return the median seconds per step, or None if memory runs out.

    The first step (tracing, allocation) is not counted. Steps far over budget are not repeated.
    """
    times: list[float] = []
    try:
        float(step(images, labels))
        while len(times) < _TIMED_STEPS and sum(times) <= _TIMED_STEPS * budget_s:
            start = time.perf_counter()
            float(step(images, labels))
            times.append(time.perf_counter() - start)
    except (tf.errors.ResourceExhaustedError, MemoryError):
        return None
    return statistics.median(times)


class _PeakMemory:
    """Context manager that measures the peak main memory of the process.

    Attributes:
        rss_bytes: The peak resident set size so far.
    """

    def __init__(self) -> None:
        self.rss_bytes = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        import psutil

        process = psutil.Process()
        while True:
            self.rss_bytes = max(self.rss_bytes, process.memory_info().rss)
            if self._done.wait(_SAMPLE_INTERVAL_S):
                return
