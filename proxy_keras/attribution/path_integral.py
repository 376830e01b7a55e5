"""Integrals of gradients along the path from a baseline to the image."""

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
    """A signed method that integrates gradients along the straight path from a baseline.

    In each step, a unit (a pixel, or an activation of a layer) gets its change times a weighted
    mean of its gradients at both ends. The weights in [0, 1] are chosen to give the score's true
    increase, if possible: this is exact where the score is piecewise linear with one kink, as in
    ReLU networks, and the trapezoidal rule where it is quadratic. So the sum over all units comes
    close to the score's increase in few steps.
    """

    def integrate(
        self,
        images: tf.Tensor,
        units: tf.Tensor,
        evaluate: Callable[[tf.Tensor], Evaluation],
    ) -> tf.Tensor:
        """Return what each unit adds to the score along the path to the images, [B, ...].

        Args:
            images: [B, H, W, C] float32.
            units: [B, ...] float32, used for their shape only.
            evaluate: Returns units, scores and gradients at copies [n, B, H, W, C] of the images.
        """
        start = self.baselines(images)
        difference = images - start

        def update(indices: tf.Tensor, total: tf.Tensor, *before: tf.Tensor) -> tuple:
            shares = tf.cast(indices, tf.float32) / self.steps
            after = evaluate(start + _column(shares, 5) * difference)
            ends = [
                tf.concat([first[tf.newaxis], rest], axis=0)
                for first, rest in zip(before, after, strict=True)
            ]
            added = _steps(*ends)
            # No step ends at the first point.
            is_step = _column(indices > 0, added.shape.rank)
            total += tf.reduce_sum(tf.where(is_step, added, tf.zeros_like(added)), axis=0)
            return total, *(values[-1] for values in after)

        zeros = tf.zeros_like(units)
        state = (zeros, zeros, tf.zeros_like(units[:, 0, 0, 0]), zeros)
        per_pass = copies_per_pass(images, self.chunk_size)
        return fold(self.steps + 1, per_pass, state, update)[0]


def _steps(units: tf.Tensor, scores: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    """Return what the units add in each of n steps, [n, B, ...], given values at n + 1 points."""
    changes = units[1:] - units[:-1]
    before, after = gradients[:-1] * changes, gradients[1:] * changes
    axes = list(range(2, changes.shape.rank))
    increase_before = tf.reduce_sum(before, axis=axes)
    increase_after = tf.reduce_sum(after, axis=axes)
    increase = scores[1:] - scores[:-1]
    weights = tf.math.divide_no_nan(increase - increase_after, increase_before - increase_after)
    # Not finite where the sums overflow.
    weights = tf.where(tf.math.is_finite(weights), weights, tf.fill(tf.shape(weights), 0.5))
    weights = _column(tf.clip_by_value(weights, 0.0, 1.0), changes.shape.rank)
    return weights * before + (1.0 - weights) * after


def _column(values: tf.Tensor, rank: int) -> tf.Tensor:
    """Return `values` with trailing axes of length 1 up to `rank`."""
    return tf.reshape(
        values, tf.concat([tf.shape(values), [1] * (rank - values.shape.rank)], axis=0)
    )
