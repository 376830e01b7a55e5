"""The devices that train one model together, as seen by one of their processes."""

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

from proxy_keras.distribution.batch_norm_sync import BatchNormSync
from proxy_keras.distribution.keras_patches import patched
from proxy_keras.distribution.parts import Parts


class WorkerLost(ConnectionError):
    """Another worker has stopped or cannot be reached."""


class Team:
    """Replicas of one model, in one process or in several.

    Methods that communicate (all but `share`) must be called by all processes, in the same order.

    Args:
        strategy: The TensorFlow strategy; None: one device.
        worker: Index of this process. Worker 0 is the chief, which writes the run folder.
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
        """Number of replicas in all processes."""
        return 1 if self.parts is None else self.parts.replicas

    @property
    def is_chief(self) -> bool:
        """Whether this process writes the run folder."""
        return self.worker == 0

    def scope(self) -> AbstractContextManager[Any]:
        """Return the context in which a model must be built and compiled."""
        return nullcontext() if self.strategy is None else self.strategy.scope()

    @contextmanager
    def training(self, model: keras.Model) -> Iterator[list[keras.callbacks.Callback]]:
        """Prepare for `fit`; a context manager that yields the callbacks to put first.

        Raises:
            WorkerLost: Another worker has stopped.
        """
        if self.strategy is None:
            yield []
            return
        with self._worker_errors(), patched(model):
            yield [BatchNormSync(self._mean)]

    def check_batch_size(self, batch_size: int) -> None:
        """Raise ValueError if batches cannot be split into parts of equal size."""
        if batch_size % self.replicas:
            raise ValueError(
                f"`batch_size` is the total of all {self.replicas} replicas, and must be a multiple"
                f" of their number. Received: {batch_size}. Use for example"
                f" {-(-batch_size // self.replicas) * self.replicas}."
            )

    def evaluation_batch_size(self, examples: int, batch_size: int) -> int:
        """Return a batch size near the given one for which no part of the last batch is empty.

        Otherwise an example would be in two parts and count twice.

        Raises:
            ValueError: There are fewer examples than replicas.
        """
        if examples < self.replicas:
            raise ValueError(
                f"{self.replicas} replicas cannot share {examples} validation examples. Use a"
                " larger val share, or fewer replicas."
            )
        sizes = [*range(batch_size, self.replicas - 1, -1), *range(batch_size + 1, examples + 1)]
        return next(
            size for size in sizes if examples % size == 0 or examples % size >= self.replicas
        )

    def distribute(self, make: Callable[..., tf.data.Dataset], steps: int) -> Any:
        """Return the dataset for `fit`.

        Args:
            make: Returns batches, or the parts of them given by its argument `parts`.
            steps: Number of batches.
        """
        if self.strategy is None:
            return make()
        dataset = self.strategy.distribute_datasets_from_function(lambda _: make(parts=self.parts))
        # Keras needs the steps of an epoch; the dataset counts the parts of this process.
        dataset._cardinality = steps
        return dataset

    def share(self, count: int, batch_size: int) -> NDArray[np.int64]:
        """Return which of `count` examples this process explains; batches alternate by worker."""
        positions = np.arange(count)
        return positions[positions // batch_size % self.workers == self.worker]

    def merge_rows(
        self, values: NDArray[Any], share: NDArray[np.int64], wanted: NDArray[np.int64]
    ) -> NDArray[Any]:
        """Merge rows that the processes computed separately.

        Args:
            values: [N, ...] float32 or uint8; this process has filled the rows in `share`.
            share: The result of `share`.
            wanted: The rows to return, ascending; the same in all processes.

        Returns:
            `values[wanted]` with the rows of every process, the same in all of them.
        """
        if self.workers == 1:
            return values[wanted]
        mine = np.intersect1d(share, wanted)
        whole = np.empty_like(values, shape=[len(wanted), *values.shape[1:]])
        rows = self.gather(mine)
        whole[np.searchsorted(wanted, rows)] = self.gather(values[mine])
        return whole

    def gather(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Concatenate the rows [n, ...] of all processes.

        Raises:
            WorkerLost: Another worker has stopped.
        """
        if self.strategy is None or self.workers == 1:
            return rows
        # TensorFlow cannot gather uint8.
        sent = rows.astype(np.int32) if rows.dtype == np.uint8 else rows
        with self._worker_errors():
            return self.strategy.gather(tf.constant(sent), axis=0).numpy().astype(rows.dtype)

    def from_chief(self, value: Any) -> Any:
        """Return the chief's JSON value in all processes; the others wait for it."""
        if self.workers == 1:
            return value
        text = json.dumps(value) if self.is_chief else ""
        return json.loads(self.gather(np.frombuffer(text.encode(), np.uint8)).tobytes())

    def check_agreement(self, facts: dict[str, Any]) -> None:
        """Raise ValueError if a value differs between processes.

        Args:
            facts: JSON values by name.
        """
        digests = [
            hashlib.sha256(json.dumps(value, sort_keys=True).encode()).digest()
            for value in facts.values()
        ]
        all_digests = self.gather(np.array([list(digest) for digest in digests], np.uint8)[None])
        differ = (all_digests != all_digests[:1]).any(axis=(0, 2))
        if differ.any():
            names = [name for name, differs in zip(facts, differ, strict=True) if differs]
            raise ValueError(
                f"The workers differ in: {', '.join(names)}. Start all of them with the same "
                "options, the same data, and --out in the same shared folder. Here: "
                f"{ {name: facts[name] for name in names} }"
            )

    def _mean(self, variable: keras.Variable) -> tf.Tensor:
        if self.strategy is None:
            return tf.convert_to_tensor(variable)
        # Read per replica: the strategy assumes that the variable is the same on all.
        parts = self.strategy.experimental_local_results(variable.value)
        total = tf.add_n([tf.identity(part) for part in parts])
        if self.workers > 1:
            total = tf.reduce_sum(self.gather(total.numpy()[np.newaxis]), axis=0)
        return total / self.replicas

    @contextmanager
    def _worker_errors(self) -> Iterator[None]:
        """Raise WorkerLost for TensorFlow's errors about other workers."""
        try:
            yield
        except _CONNECTION_ERRORS as error:
            if self.workers == 1:
                raise
            lines = error.message.splitlines()
            # The rest of a long message says where in the graph it happened.
            cause = next((line for line in lines if "aborted by" in line), lines[0])
            raise WorkerLost(
                "another worker has stopped or cannot be reached. Restart all workers with --resume"
                f" to continue from the last checkpoint. TensorFlow says: {cause}"
            ) from error


_CONNECTION_ERRORS = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.FailedPreconditionError,
)
