"""Random numbers that augmentations draw, each determined by a seed [2] and nothing else."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

Shape = Sequence[int | tf.Tensor]


def split_seed(seed: tf.Tensor, count: int) -> list[tf.Tensor]:
    """`count` seeds, no two alike, from one."""
    return [tf.random.fold_in(seed, number) for number in range(count)]


def uniform(
    shape: Shape, seed: tf.Tensor, low: float | tf.Tensor = 0.0, high: float | tf.Tensor = 1.0
) -> tf.Tensor:
    """float32 in [low, high)."""
    return low + (high - low) * tf.random.stateless_uniform(shape, seed=seed)


def integers(shape: Shape, seed: tf.Tensor, end: tf.Tensor | int) -> tf.Tensor:
    """int32 from 0 to `end` - 1; `end` may differ from element to element."""
    end = tf.cast(end, tf.float32)
    # The product of a number below 1 and `end` may be rounded up to `end`.
    return tf.cast(tf.minimum(tf.floor(uniform(shape, seed) * end), end - 1.0), tf.int32)


def beta(shape: Shape, seed: tf.Tensor, alpha: float) -> tf.Tensor:
    """float32 in [0, 1] of the distribution Beta(alpha, alpha)."""
    first, second = (tf.random.stateless_gamma(shape, s, alpha) for s in split_seed(seed, 2))
    # Both underflow to 0 where alpha is small.
    total = first + second
    return tf.where(total > 0.0, tf.math.divide_no_nan(first, total), 0.5)


def dirichlet(shape: Shape, seed: tf.Tensor, alpha: float) -> tf.Tensor:
    """float32 shares that sum to 1 over the last axis, of Dirichlet(alpha, ..., alpha)."""
    parts = tf.random.stateless_gamma(shape, seed, alpha) + 1e-12
    return parts / tf.reduce_sum(parts, axis=-1, keepdims=True)


def partners(count: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """[count] int32: which image of the batch each is mixed with, a random permutation."""
    return tf.random.experimental.stateless_shuffle(tf.range(count), seed)
