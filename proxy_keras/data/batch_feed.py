"""BatchFeed: what the batches of one data set are made with, and which examples they hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from proxy_keras.distribution.parts import Parts

Augment = Callable[..., tuple[tf.Tensor, tf.Tensor]]
"""(images [B, P, P, 3] float32 in [0, 255], labels, seed [2] int64) -> images, labels.

One with a true attribute `needs_epoch` is also given `epoch`, int64, counted from 0; one with a
true `needs_maps` the originals' `heatmaps` [B, h, w] float32 in [0, 1].
"""


@runtime_checkable
class Undoable(Protocol):
    """An augmentation whose geometry can be undone, such as `augment.FlipAndRotate`."""

    def undo(self, heatmaps: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Return heatmaps [B, h, w] of the images made with this seed, as of its inputs."""


class BatchFeed:
    """The recipe and the log of one data set of training batches.

    Every call of `TrainSplit.batches` makes one, so that two data sets never mix up.

    Args:
        seed: Seed of the training split.
        batch_size: Examples per batch.
        augment: The augmentation; None: none.
        parts: The parts of each batch that are given instead of batches; None: whole batches.
        is_weighted: Whether the batches have weights.

    Attributes:
        epoch: The epoch that it was opened in last, counted from 0.
        positions: Positions [B] of the examples of each batch of that epoch, by its number.
    """

    def __init__(
        self,
        seed: int,
        batch_size: int,
        augment: Augment | None,
        parts: Parts | None = None,
        *,
        is_weighted: bool = False,
    ) -> None:
        self.batch_size = batch_size
        self.augment = augment
        self.parts = parts
        self.is_weighted = is_weighted
        self.epoch = 0
        self.positions: dict[int, NDArray[np.int64]] = {}
        self._seed = seed

    def open(self, epoch: int) -> None:
        """Start the log of an epoch."""
        self.epoch = epoch
        self.positions = {}

    def batch_seed(self, epoch: int | tf.Tensor, batch: int | tf.Tensor) -> tf.Tensor:
        """Return the seed [2] int64 of a batch, which depends on (seed, epoch, batch) alone."""
        # An int32 would give another seed than the same number as int64.
        epoch, batch = tf.cast(epoch, tf.int64), tf.cast(batch, tf.int64)
        return tf.random.fold_in(tf.random.fold_in(split_seed(self._seed), epoch), batch)

    def check_undoable(self) -> None:
        """Check that `undo` can be used.

        Raises:
            ValueError: The geometry of the augmentation cannot be undone.
        """
        if self.augment is not None and not isinstance(self.augment, Undoable):
            raise ValueError(
                f"The geometry of {self.augment!r} cannot be undone: it has no method "
                "undo(heatmaps, seed). Use augment.FlipAndRotate, or wrong_from='evaluation'."
            )

    def undo(self, heatmaps: NDArray[np.uint8], batch: int) -> NDArray[np.uint8]:
        """Return heatmaps of images as they were augmented, in the geometry of the originals.

        Args:
            heatmaps: [B, h, w] uint8 of a batch of the last epoch.
            batch: Its number in the epoch, from 0.

        Returns:
            [B, h, w] uint8; the same where nothing was augmented.
        """
        augment: object = self.augment
        if not isinstance(augment, Undoable):
            return heatmaps
        with tf.device("CPU:0"):
            seed = augmentation_seed(self.batch_seed(self.epoch, batch))
            restored = augment.undo(tf.cast(heatmaps, tf.float32), seed)
        return np.rint(restored.numpy()).astype(np.uint8)


def augmentation_seed(batch_seed: tf.Tensor) -> tf.Tensor:
    """Return the seed [2] int64 that the augmentation of a batch gets."""
    return tf.random.fold_in(batch_seed, 0)


def split_seed(seed: int) -> tf.Tensor:
    """Return the stateless seed [2] int64 of a training split."""
    return tf.constant([seed, 0], tf.int64)
