"""Rules of reductions over whole axes: global pooling, means, sums and maxima."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import keras
import tensorflow as tf
from keras import layers

from export.vjp.rule import Pullback, Rule

# (input, axes) -> the reduction with these axes kept at length 1, and its pullback.
_Reduction: TypeAlias = Callable[
    [tf.Tensor, list[int]], tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]
]


def _sum(x: tf.Tensor, axes: list[int]) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
    # Tiled, because `broadcast_to` would need the batch size.
    copies = [x.shape[axis] if axis in axes else 1 for axis in range(len(x.shape))]
    return tf.reduce_sum(x, axes, keepdims=True), lambda gradient: tf.tile(gradient, copies)


def _mean(x: tf.Tensor, axes: list[int]) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
    count = math.prod(x.shape[axis] for axis in axes)
    _, through_sum = _sum(x, axes)
    return tf.reduce_mean(x, axes, keepdims=True), lambda g: through_sum(g / count)


def _max(x: tf.Tensor, axes: list[int]) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
    y = tf.reduce_max(x, axes, keepdims=True)

    def back(gradient: tf.Tensor) -> tf.Tensor:
        # Equal cells share the gradient, as in TensorFlow (but not in its pooling by windows).
        is_largest = tf.cast(tf.equal(x, y), gradient.dtype)
        return gradient * is_largest / tf.reduce_sum(is_largest, axes, keepdims=True)

    return y, back


def _reduced(
    reduction: _Reduction, x: tf.Tensor, axes: list[int], keepdims: bool
) -> tuple[tf.Tensor, Pullback]:
    y, back = reduction(x, axes)
    kept = [-1, *y.shape[1:]]
    output = y if keepdims else tf.squeeze(y, axes)
    return output, lambda gradient: (back(tf.reshape(gradient, kept)),)


def _of_layer(reduction: _Reduction) -> Rule:
    """Return the rule of a global pooling layer, [B, ..., D] to [B, D]."""

    def rule(layer: Any, x: tf.Tensor) -> tuple[tf.Tensor, Pullback]:
        return _reduced(reduction, x, list(range(1, len(x.shape) - 1)), layer.keepdims)

    return rule


def _of_operation(reduction: _Reduction) -> Rule:
    """Return the rule of a `keras.ops` reduction over axes other than the batch."""

    def rule(operation: Any, x: tf.Tensor) -> tuple[tf.Tensor, Pullback]:
        given = range(len(x.shape)) if operation.axis is None else operation.axis
        axes = sorted(axis % len(x.shape) for axis in given)
        if 0 in axes:
            raise NotImplementedError("it reduces over the batch")
        if getattr(operation, "initial", None) is not None:
            raise NotImplementedError(f"it has initial={operation.initial}")
        return _reduced(reduction, x, axes, operation.keepdims)

    return rule


REDUCTION_LAYERS: dict[type[keras.Operation], Rule] = {
    layers.GlobalAveragePooling1D: _of_layer(_mean),
    layers.GlobalAveragePooling2D: _of_layer(_mean),
    layers.GlobalMaxPooling1D: _of_layer(_max),
    layers.GlobalMaxPooling2D: _of_layer(_max),
}

REDUCTION_OPERATIONS: dict[str, Rule] = {
    "Mean": _of_operation(_mean),
    "Sum": _of_operation(_sum),
    "Max": _of_operation(_max),
}
