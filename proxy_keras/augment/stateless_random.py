"""Random numbers for augmentations, each determined by a seed [2] alone."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

Shape = Sequence[int | tf.Tensor]


def split_seed(seed: tf.Tensor, count: int) -> list[tf.Tensor]:
    """Derive `count` different seeds from one."""
    return [tf.random.fold_in(seed, number) for number in range(count)]


def uniform(
    shape: Shape, seed: tf.Tensor, low: float | tf.Tensor = 0.0, high: float | tf.Tensor = 1.0
) -> tf.Tensor:
    """Draw float32 numbers in [low, high)."""
    return low + (high - low) * tf.random.stateless_uniform(shape, seed=seed)


def integers(shape: Shape, seed: tf.Tensor, end: tf.Tensor | int) -> tf.Tensor:
    """Draw int32 numbers from 0 to `end` - 1; `end` may be a tensor that broadcasts."""
    end = tf.cast(end, tf.float32)
    # The product of a number below 1 and `end` may round up to `end`.
    return tf.cast(tf.minimum(tf.floor(uniform(shape, seed) * end), end - 1.0), tf.int32)


def beta(shape: Shape, seed: tf.Tensor, alpha: float) -> tf.Tensor:
    """Draw float32 numbers in [0, 1] from Beta(alpha, alpha)."""
    first, second = (tf.random.stateless_gamma(shape, s, alpha) for s in split_seed(seed, 2))
    # For small alpha both can underflow to 0.
    total = first + second
    return tf.where(total > 0.0, tf.math.divide_no_nan(first, total), 0.5)


def dirichlet(shape: Shape, seed: tf.Tensor, alpha: float) -> tf.Tensor:
    """Draw float32 shares from Dirichlet(alpha, ..., alpha); they sum to 1 over the last axis."""
    parts = tf.random.stateless_gamma(shape, seed, alpha) + 1e-12
    return parts / tf.reduce_sum(parts, axis=-1, keepdims=True)


def partners(count: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Draw the image of the batch that each image is mixed with, a permutation: [count] int32."""
    return tf.random.experimental.stateless_shuffle(tf.range(count), seed)
