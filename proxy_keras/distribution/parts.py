"""Parts: how each batch is cut among replicas, and which of its parts one process reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import tensorflow as tf


@dataclass(frozen=True)
class Parts:
    """The parts of every batch that one process reads.

    A batch is cut into as many parts as there are replicas, in the order of its examples; their
    sizes differ by at most one. It is cut before anything is read, so each process reads and
    changes its own images only. Where a batch has fewer examples than there are replicas, some
    examples are in two parts: of no images BatchNorm's statistics are not numbers.

    Attributes:
        replicas: Replicas of all processes.
        first: The first replica of this process, from 0.
        count: Replicas of this process.
    """

    replicas: int
    first: int
    count: int

    def of(self, batches: tf.data.Dataset) -> tf.data.Dataset:
        """Each batch as the parts of this process, one after the other.

        Args:
            batches: A tensor, or a tuple of tensors, of [B, ...].

        Returns:
            (number, part): the part's number among those of all batches, int64, and its tensors.
        """

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
