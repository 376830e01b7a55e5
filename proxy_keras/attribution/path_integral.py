"""Shares the score's rise on the way from a baseline to the image among what changes there."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from proxy_keras.attribution.baselines import BaselineMethod
from proxy_keras.attribution.image_gradient import copies_per_pass, fold
from proxy_keras.attribution.method import SignedMethod
from proxy_keras.attribution.method_options import PathOptions

Evaluation = tuple[tf.Tensor, tf.Tensor, tf.Tensor]
"""Units [n, B, ...], scores [n, B], and the gradients of the scores by the units [n, B, ...]."""


class PathMethod(PathOptions, BaselineMethod, SignedMethod):
    """A signed method that integrates gradients along the straight way from a baseline.

    What units (pixels, or activations of a layer) get on a step of the way is their change times
    their gradient, a mean of those at its two ends. Its weights are the ones that give the score's
    true rise on this step, if there are such weights in [0, 1]: exact where the score is linear up
    to a bend and linear after it, as in ReLU networks, and the trapezoidal rule where it is
    quadratic. So the sum over all units comes close to the score's rise in few steps.

    Options: see `PathOptions`.
    """

    def integrate(
        self,
        images: tf.Tensor,
        units: tf.Tensor,
        evaluate: Callable[[tf.Tensor], Evaluation],
    ) -> tf.Tensor:
        """What each unit adds to the score on the way to the images, [B, ...].

        Args:
            images: [B, H, W, C] float32.
            units: [B, ...] float32, read for their shape.
            evaluate: Gives units, scores and gradients at copies [n, B, H, W, C] of the images.
        """
        start = self.baselines(images)
        way = images - start

        def update(numbers: tf.Tensor, total: tf.Tensor, *before: tf.Tensor) -> tuple:
            shares = tf.cast(numbers, tf.float32) / self.steps
            after = evaluate(start + _column(shares, 5) * way)
            ends = [
                tf.concat([first[tf.newaxis], rest], axis=0)
                for first, rest in zip(before, after, strict=True)
            ]
            added = _steps(*ends)
            # The first point ends no step.
            is_step = _column(numbers > 0, added.shape.rank)
            total += tf.reduce_sum(tf.where(is_step, added, tf.zeros_like(added)), axis=0)
            return total, *(values[-1] for values in after)

        nothing = tf.zeros_like(units)
        state = (nothing, nothing, tf.zeros_like(units[:, 0, 0, 0]), nothing)
        per_pass = copies_per_pass(images, self.chunk_size)
        return fold(self.steps + 1, per_pass, state, update)[0]


def _steps(units: tf.Tensor, scores: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    """What the units add on each of n steps, [n, B, ...], of values at their n + 1 ends."""
    changes = units[1:] - units[:-1]
    before, after = gradients[:-1] * changes, gradients[1:] * changes
    axes = list(range(2, changes.shape.rank))
    rise_before = tf.reduce_sum(before, axis=axes)
    rise_after = tf.reduce_sum(after, axis=axes)
    rise = scores[1:] - scores[:-1]
    weights = tf.math.divide_no_nan(rise - rise_after, rise_before - rise_after)
    # Not finite where the sums leave float32.
    weights = tf.where(tf.math.is_finite(weights), weights, tf.fill(tf.shape(weights), 0.5))
    weights = _column(tf.clip_by_value(weights, 0.0, 1.0), changes.shape.rank)
    return weights * before + (1.0 - weights) * after


def _column(values: tf.Tensor, rank: int) -> tf.Tensor:
    """`values` with axes of length 1 behind, up to `rank`."""
    return tf.reshape(
        values, tf.concat([tf.shape(values), [1] * (rank - values.shape.rank)], axis=0)
    )
