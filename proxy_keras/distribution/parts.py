"""The split of each batch among replicas, and the parts that one process reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import tensorflow as tf


@dataclass(frozen=True)
class Parts:
    """The parts of every batch that one process reads.

    A batch is split into one part per replica, in the order of its examples; their sizes differ by
    at most one. It is split before images are read, so each process reads and augments only its
    own. If a batch has fewer examples than replicas, some examples are in two parts: BatchNorm's
    statistics of an empty part would be NaN.

    Attributes:
        replicas: Number of replicas in all processes.
        first: Index of this process's first replica.
        count: Number of replicas in this process.
    """

    replicas: int
    first: int
    count: int

    def of(self, batches: tf.data.Dataset) -> tf.data.Dataset:
        """Split each batch and return this process's parts, one after the other.

        Args:
            batches: Elements are a tensor [B, ...] or a tuple of them.

        Returns:
            (number, part): the part's number among those of all batches, int64, and its tensors.
        """

        @tf.autograph.experimental.do_not_convert
        def cut(step: tf.Tensor, batch: Any) -> tf.data.Dataset:
            replicas = tf.data.Dataset.range(self.first, self.first + self.count)
            return replicas.map(
                lambda replica: (step * self.replicas + replica, self._part(batch, replica))
            )

        return batches.enumerate().flat_map(cut)

    def _part(self, batch: Any, replica: tf.Tensor) -> Any:
        size = tf.shape(tf.nest.flatten(batch)[0], tf.int64)[0]
        first, end = (size * edge // self.replicas for edge in (replica, replica + 1))
        rows = tf.cond(
            first < end,
            lambda: tf.range(first, end),
            lambda: tf.reshape(replica % size, [1]),
        )
        return tf.nest.map_structure(lambda tensor: tf.gather(tensor, rows), batch)
