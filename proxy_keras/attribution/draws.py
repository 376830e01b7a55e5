"""Random numbers that depend on a seed and a number only, and not on the device or the batch."""

from __future__ import annotations

import tensorflow as tf

# The default generator differs from device to device.
_GENERATOR = "philox"


def normal(shape: tf.Tensor, seed: int, number: tf.Tensor) -> tf.Tensor:
    """Standard normal float32 of this shape, the same for the same seed and number."""
    return tf.random.stateless_normal(shape, _key(seed, number), alg=_GENERATOR)


def uniform(
    shape: tf.Tensor, seed: int, number: tf.Tensor, bounds: tuple[float, float]
) -> tf.Tensor:
    """Uniform float32 within bounds, of this shape, the same for the same seed and number."""
    low, high = bounds
    return tf.random.stateless_uniform(
        shape, _key(seed, number), minval=low, maxval=high, alg=_GENERATOR
    )


def _key(seed: int, number: tf.Tensor) -> tf.Tensor:
    return tf.stack([tf.constant(seed, tf.int64), tf.cast(number, tf.int64)])
