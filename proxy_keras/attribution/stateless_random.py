"""Random numbers that depend on a seed and an index only, not on the device or the batch."""

from __future__ import annotations

import tensorflow as tf

# The default generator differs between devices.
_GENERATOR = "philox"


def normal(shape: tf.Tensor, seed: int, index: tf.Tensor) -> tf.Tensor:
    """Return standard normal float32 of this shape, the same for the same seed and index."""
    return tf.random.stateless_normal(shape, _key(seed, index), alg=_GENERATOR)


def uniform(
    shape: tf.Tensor, seed: int, index: tf.Tensor, bounds: tuple[float, float]
) -> tf.Tensor:
    """Return uniform float32 within bounds, the same for the same seed and index."""
    low, high = bounds
    return tf.random.stateless_uniform(
        shape, _key(seed, index), minval=low, maxval=high, alg=_GENERATOR
    )


def _key(seed: int, index: tf.Tensor) -> tf.Tensor:
    return tf.stack([tf.constant(seed, tf.int64), tf.cast(index, tf.int64)])
