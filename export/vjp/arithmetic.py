"""Rules of sums, products and other combinations of tensors, with broadcasting."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import tensorflow as tf
from keras import layers, ops

from export.vjp.rule import Pullback, Rule

# Two tensors -> their combination, and its pullback before the gradients are summed over broadcast
# axes.
_Pair: TypeAlias = Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, Pullback]]


def summed_to(tensor: tf.Tensor, gradient: tf.Tensor) -> tf.Tensor:
    """Sum the gradient of a broadcast copy of `tensor` to the shape of `tensor`."""
    extra = len(gradient.shape) - len(tensor.shape)
    stretched = [
        extra + axis
        for axis, size in enumerate(tensor.shape)
        if size == 1 and gradient.shape[extra + axis] != 1
    ]
    if stretched:
        gradient = tf.reduce_sum(gradient, axis=stretched, keepdims=True)
    return tf.reduce_sum(gradient, axis=list(range(extra))) if extra else gradient


def _add(x1: tf.Tensor, x2: tf.Tensor) -> tuple[tf.Tensor, Pullback]:
    return x1 + x2, lambda gradient: (gradient, gradient)


def _subtract(x1: tf.Tensor, x2: tf.Tensor) -> tuple[tf.Tensor, Pullback]:
    return x1 - x2, lambda gradient: (gradient, -gradient)


def _multiply(x1: tf.Tensor, x2: tf.Tensor) -> tuple[tf.Tensor, Pullback]:
    return x1 * x2, lambda gradient: (gradient * x2, gradient * x1)


def _divide(x1: tf.Tensor, x2: tf.Tensor) -> tuple[tf.Tensor, Pullback]:
    y = x1 / x2
    return y, lambda gradient: (gradient / x2, -gradient * y / x2)


def _maximum(x1: tf.Tensor, x2: tf.Tensor) -> tuple[tf.Tensor, Pullback]:
    return tf.maximum(x1, x2), lambda gradient: _chosen(x1 >= x2, gradient)


def _minimum(x1: tf.Tensor, x2: tf.Tensor) -> tuple[tf.Tensor, Pullback]:
    return tf.minimum(x1, x2), lambda gradient: _chosen(x1 <= x2, gradient)


def _chosen(is_first: tf.Tensor, gradient: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    # In a tie the first gets the gradient, as in TensorFlow.
    to_first = gradient * tf.cast(is_first, gradient.dtype)
    return to_first, gradient - to_first


def _of_operation(pair: _Pair) -> Rule:
    """Return the rule of a `keras.ops` operation on two tensors, variables or numbers."""

    def rule(operation: Any, x1: Any, x2: Any) -> tuple[tf.Tensor, Pullback]:
        first, second = ops.cast(x1, "float32"), ops.cast(x2, "float32")
        y, back = pair(first, second)

        def pullback(gradient: tf.Tensor) -> tuple[tf.Tensor, ...]:
            to_first, to_second = back(gradient)
            return summed_to(first, to_first), summed_to(second, to_second)

        return y, pullback

    return rule


def _of_layer(pair: _Pair) -> Rule:
    """Return the rule of a layer that combines a list of tensors, one after the other."""
    combine = _of_operation(pair)

    def rule(layer: Any, xs: Sequence[tf.Tensor]) -> tuple[tf.Tensor, Pullback]:
        ranks = {len(x.shape) for x in xs}
        if len(ranks) > 1:
            raise NotImplementedError(
                f"its inputs have {sorted(ranks)} axes; only equal ranks are supported"
            )
        y, backs = xs[0], []
        for x in xs[1:]:
            y, back = combine(layer, y, x)
            backs.append(back)

        def pullback(gradient: tf.Tensor) -> tuple[tf.Tensor, ...]:
            gradients = []
            for back in reversed(backs):
                gradient, to_last = back(gradient)
                gradients.append(to_last)
            return gradient, *reversed(gradients)

        return y, pullback

    return rule


def average(layer: layers.Average, xs: Sequence[tf.Tensor]) -> tuple[tf.Tensor, Pullback]:
    """Rule of the mean of a list of tensors."""
    total, back = ARITHMETIC_LAYERS[layers.Add](layer, xs)
    return total / len(xs), lambda gradient: back(gradient / len(xs))


def concatenate(operation: Any, xs: Sequence[tf.Tensor]) -> tuple[tf.Tensor, Pullback]:
    """Rule of concatenation, as a layer and as an operation."""
    axis = operation.axis % len(xs[0].shape)
    if axis == 0:
        raise NotImplementedError("it concatenates along the batch")
    sizes = [x.shape[axis] for x in xs]
    return tf.concat(xs, axis), lambda gradient: tuple(tf.split(gradient, sizes, axis))


ARITHMETIC_LAYERS: dict[type[layers.Layer], Rule] = {
    layers.Add: _of_layer(_add),
    layers.Subtract: _of_layer(_subtract),
    layers.Multiply: _of_layer(_multiply),
    layers.Maximum: _of_layer(_maximum),
    layers.Minimum: _of_layer(_minimum),
    layers.Average: average,
    layers.Concatenate: concatenate,
}

ARITHMETIC_OPERATIONS: dict[str, Rule] = {
    "Add": _of_operation(_add),
    "Subtract": _of_operation(_subtract),
    "Multiply": _of_operation(_multiply),
    "Divide": _of_operation(_divide),
    "TrueDivide": _of_operation(_divide),
    "Maximum": _of_operation(_maximum),
    "Minimum": _of_operation(_minimum),
    "Concatenate": concatenate,
}
