"""Rules of dense layers, matrix products and Einstein sums."""

from __future__ import annotations

import string
from typing import Any

import tensorflow as tf
from keras import layers

from export.vjp.activations import activate
from export.vjp.arithmetic import summed_to
from export.vjp.rule import Pullback


def dense(layer: layers.Dense, x: tf.Tensor) -> tuple[tf.Tensor, Pullback]:
    """Rule of a dense layer, [B, ..., D] to [B, ..., K]."""
    kernel = tf.convert_to_tensor(layer.kernel)

    def pullback(gradient: tf.Tensor) -> tuple[tf.Tensor]:
        # Transpose the gradient, because a transposed kernel would be stored in the file too.
        product = tf.matmul(kernel, gradient, transpose_b=True)
        return (tf.linalg.matrix_transpose(product),)

    return finish(layer, tf.matmul(x, kernel), pullback)


def einsum_dense(layer: layers.EinsumDense, x: tf.Tensor) -> tuple[tf.Tensor, Pullback]:
    """Rule of a dense layer defined by an Einstein sum."""
    equation = explicit(layer.equation, len(x.shape))
    kernel = tf.convert_to_tensor(layer.kernel)
    back = _towards_first(equation)

    def pullback(gradient: tf.Tensor) -> tuple[tf.Tensor]:
        return (tf.einsum(back, gradient, kernel),)

    return finish(layer, tf.einsum(equation, x, kernel), pullback)


def einsum(operation: Any, *operands: tf.Tensor) -> tuple[tf.Tensor, Pullback]:
    """Rule of `keras.ops.einsum` with two operands."""
    if len(operands) != 2:
        raise NotImplementedError(f"it has {len(operands)} operands; only 2 are supported")
    first, second = (tf.convert_to_tensor(operand) for operand in operands)
    equation = explicit(operation.subscripts, len(first.shape), len(second.shape))
    to_first = _towards_first(equation)
    to_second = _towards_first(_swapped(equation))

    def pullback(gradient: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.einsum(to_first, gradient, second), tf.einsum(to_second, gradient, first)

    return tf.einsum(equation, first, second), pullback


def matmul(operation: Any, x1: tf.Tensor, x2: tf.Tensor) -> tuple[tf.Tensor, Pullback]:
    """Rule of the product of (batches of) matrices."""
    first, second = tf.convert_to_tensor(x1), tf.convert_to_tensor(x2)
    if len(first.shape) < 2 or len(second.shape) < 2:
        raise NotImplementedError("one of its factors is a vector; only matrices are supported")

    def pullback(gradient: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return (
            summed_to(first, tf.matmul(gradient, second, transpose_b=True)),
            summed_to(second, tf.matmul(first, gradient, transpose_a=True)),
        )

    return tf.matmul(first, second), pullback


def finish(layer: Any, product: tf.Tensor, pullback: Pullback) -> tuple[tf.Tensor, Pullback]:
    """Add a layer's bias to its weighted sums, and apply its activation.

    Args:
        layer: Has `bias`, None or broadcastable, and `activation`.
        product: The weighted sums.
        pullback: Gradient of `product` -> gradients of the layer's inputs.
    """
    if layer.bias is not None:
        product = product + tf.convert_to_tensor(layer.bias)
    output, through_activation = activate(layer.activation, product)
    return output, lambda gradient: pullback(*through_activation(gradient))


def explicit(equation: str, *ranks: int) -> str:
    """Replace each "..." in an equation with one letter per axis, as ONNX tools require.

    Args:
        equation: "...ab,bc->...ac". An operand without dots has one axis per letter.
        ranks: Number of axes of the operands; operands without dots may be left out at the end.
    """
    if "." not in equation:
        return equation
    operands = equation.replace(" ", "").split("->")[0].split(",")
    free = [letter for letter in string.ascii_letters if letter not in equation]
    widths = [
        rank - len(operand.replace("...", ""))
        for operand, rank in zip(operands, ranks, strict=False)
        if "..." in operand
    ]
    if len(set(widths)) != 1:
        raise NotImplementedError(f"its equation {equation} broadcasts an operand")
    return equation.replace("...", "".join(free[: widths[0]]))


def _swapped(equation: str) -> str:
    inputs, output = equation.split("->")
    return ",".join(reversed(inputs.split(","))) + "->" + output


def _towards_first(equation: str) -> str:
    """Return the equation of the first operand's gradient."""
    inputs, arrow, output = equation.replace(" ", "").partition("->")
    first, second = inputs.split(",")
    is_plain = all(len(set(part)) == len(part) for part in (first, second, output))
    if not arrow or not is_plain or not set(first) <= set(second) | set(output):
        raise NotImplementedError(
            f"its equation {equation} repeats a letter, sums a single operand or has no '->'"
        )
    return f"{output},{second}->{first}"
