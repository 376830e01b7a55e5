"""StatelessSeeds: makes the random layers of Keras depend on a given seed alone."""

from __future__ import annotations

import keras
import tensorflow as tf


class StatelessSeeds(keras.random.SeedGenerator):
    """Seeds drawn in turn from one seed, without a state that outlives the call.

    Keras' own generator counts in a variable, so that what an image becomes depends on all batches
    before it, and, where batches are made in parallel, on chance.

    Args:
        seed: [2] int64.
    """

    # The parent's constructor makes the variable that is to be avoided.
    def __init__(self, seed: tf.Tensor) -> None:
        self.name = "keyed_seeds"
        self._seed = seed
        self._drawn = 0

    def next(self, ordered: bool = True) -> tf.Tensor:
        """[2] int64, another one at each call."""
        drawn = tf.random.fold_in(self._seed, self._drawn)
        self._drawn += 1
        return drawn
