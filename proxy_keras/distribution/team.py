"""Team: the devices that train one model together, as one of their processes sees them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from proxy_keras.distribution.keras_repairs import mended
from proxy_keras.distribution.parts import Parts
from proxy_keras.distribution.statistics import AveragedStatistics


class WorkerLost(ConnectionError):
    """Another worker, or the way to it, is gone."""


class Team:
    """Replicas of one model, in one process or in several.

    Everything that talks to other processes (all but `share` and `parts`) must be called by all of
    them, in the same order.

    Args:
        strategy: The strategy of TensorFlow; None: one device.
        worker: Number of this process, from 0. Worker 0 is the chief, which writes the run folder.
        workers: Number of processes.

    Attributes:
        parts: The parts of each batch that this process reads; None on one device.
    """

    def __init__(
        self,
        strategy: tf.distribute.Strategy | None = None,
        *,
        worker: int = 0,
        workers: int = 1,
    ) -> None:
        self.strategy = strategy
        self.worker = worker
        self.workers = workers
        self.parts: Parts | None = None
        if strategy is not None:
            count = strategy.num_replicas_in_sync // workers
            self.parts = Parts(strategy.num_replicas_in_sync, worker * count, count)

    @property
    def replicas(self) -> int:
        """Replicas of all processes."""
        return 1 if self.parts is None else self.parts.replicas

    @property
    def is_chief(self) -> bool:
        """Whether this process writes the run folder."""
        return self.worker == 0

    def scope(self) -> AbstractContextManager[Any]:
        """The context in which a model is built and compiled."""
        return nullcontext() if self.strategy is None else self.strategy.scope()

    @contextmanager
    def training(self, model: keras.Model) -> Iterator[list[keras.callbacks.Callback]]:
        """A context for `fit`; gives the callbacks that come first in its list.

        Raises:
            WorkerLost: Another worker is gone.
        """
        if self.strategy is None:
            yield []
            return
        with self._losses_told(), mended(model):
            yield [AveragedStatistics(self._mean)]

    def check_batch_size(self, batch_size: int) -> None:
        """Raises ValueError where batches cannot be cut into parts of one size."""
        if batch_size % self.replicas:
            raise ValueError(
                f"`batch_size` is what all {self.replicas} replicas take in a step together, and "
                f"must be a multiple of their number. Received: {batch_size}. Give "
                f"{-(-batch_size // self.replicas) * self.replicas}, for example."
            )

    def evaluation_batch_size(self, examples: int, batch_size: int) -> int:
        """A batch size near the given one, at which no part of the last batch is left empty.

        An example would have to be in two parts then, and would count twice.

        Raises:
            ValueError: There are fewer examples than replicas.
        """
        if examples < self.replicas:
            raise ValueError(
                f"{self.replicas} replicas cannot share {examples} examples of a validation split. "
                "Give a larger share as val, or fewer replicas."
            )
        sizes = [*range(batch_size, self.replicas - 1, -1), *range(batch_size + 1, examples + 1)]
        return next(
            size for size in sizes if examples % size == 0 or examples % size >= self.replicas
        )

    def distributed(self, make: Callable[..., tf.data.Dataset], steps: int) -> Any:
        """What `fit` reads.

        Args:
            make: Gives batches, or those parts of them that its argument `parts` says.
            steps: Number of batches.
        """
        if self.strategy is None:
            return make()
        dataset = self.strategy.distribute_datasets_from_function(lambda _: make(parts=self.parts))
        # It counts the parts of this process, where Keras asks for the steps of an epoch.
        dataset._cardinality = steps
        return dataset

    def share(self, count: int, batch_size: int) -> NDArray[np.int64]:
        """Which of `count` examples this process explains: every so many batches, one."""
        places = np.arange(count)
        return places[places // batch_size % self.workers == self.worker]

    def completed(
        self, values: NDArray[Any], share: NDArray[np.int64], wanted: NDArray[np.int64]
    ) -> NDArray[Any]:
        """Rows that the processes worked out together.

        Args:
            values: [N, ...] float32 or uint8; this process has filled the rows of its share.
            share: What `share` gave.
            wanted: Rows that are asked for, ascending; the same in all processes.

        Returns:
            `values[wanted]`, with every process's rows, and the same in all of them.
        """
        if self.workers == 1:
            return values[wanted]
        mine = np.intersect1d(share, wanted)
        whole = np.empty_like(values, shape=[len(wanted), *values.shape[1:]])
        rows = self.gathered(mine)
        whole[np.searchsorted(wanted, rows)] = self.gathered(values[mine])
        return whole

    def gathered(self, rows: NDArray[Any]) -> NDArray[Any]:
        """The rows [n, ...] of all processes, one after the other.

        Raises:
            WorkerLost: Another worker is gone.
        """
        if self.strategy is None or self.workers == 1:
            return rows
        # TensorFlow gathers no bytes.
        sent = rows.astype(np.int32) if rows.dtype == np.uint8 else rows
        with self._losses_told():
            return self.strategy.gather(tf.constant(sent), axis=0).numpy().astype(rows.dtype)

    def from_chief(self, value: Any) -> Any:
        """The chief's JSON value, in all processes; the others wait for it."""
        if self.workers == 1:
            return value
        text = json.dumps(value) if self.is_chief else ""
        return json.loads(self.gathered(_bytes(text)).tobytes())

    def check_agreement(self, facts: dict[str, Any]) -> None:
        """Raises ValueError where processes differ in what they must have in common.

        Args:
            facts: JSON values by name.
        """
        digests = [
            hashlib.sha256(json.dumps(value, sort_keys=True).encode()).digest()
            for value in facts.values()
        ]
        all_digests = self.gathered(np.array([list(digest) for digest in digests], np.uint8)[None])
        differ = (all_digests != all_digests[:1]).any(axis=(0, 2))
        if differ.any():
            names = [name for name, differs in zip(facts, differ, strict=True) if differs]
            raise ValueError(
                f"The workers differ in: {', '.join(names)}. Start all of them with the same "
                "options, the same data, and the same --out on a folder that they share. Here: "
                f"{ {name: facts[name] for name in names} }"
            )

    def _mean(self, variable: keras.Variable) -> tf.Tensor:
        if self.strategy is None:
            return tf.convert_to_tensor(variable)
        # As one value per replica: of the variable itself a strategy says that all have the same.
        parts = self.strategy.experimental_local_results(variable.value)
        total = tf.add_n([tf.identity(part) for part in parts])
        if self.workers > 1:
            total = tf.reduce_sum(self.gathered(total.numpy()[np.newaxis]), axis=0)
        return total / self.replicas

    @contextmanager
    def _losses_told(self) -> Iterator[None]:
        try:
            yield
        except _LOSSES as error:
            if self.workers == 1:
                raise
            lines = error.message.splitlines()
            # The rest of a long message is where in the graph it was noticed.
            cause = next((line for line in lines if "aborted by" in line), lines[0])
            raise WorkerLost(
                "another worker is gone, or cannot be reached. Start all workers again with "
                f"--resume; they go on from the last checkpoint. TensorFlow says: {cause}"
            ) from error


_LOSSES = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.FailedPreconditionError,
)


def _bytes(text: str) -> NDArray[np.uint8]:
    return np.frombuffer(text.encode(), np.uint8)
