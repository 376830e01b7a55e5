"""The end of a graph as a weighted sum of softmaxes or sigmoids, such as an average of networks."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
from keras import layers, ops, tree

from proxy_keras.graph.nodes import inputs_of, operation_of

SOFTMAX, SIGMOID = "softmax", "sigmoid"

_ACTIVATIONS = (
    keras.activations.softmax,
    keras.activations.sigmoid,
    keras.activations.log_softmax,
    keras.activations.log_sigmoid,
)
# By class name of the layer or operation.
_OPERATIONS = {
    "Softmax": SOFTMAX,
    "Sigmoid": SIGMOID,
    "LogSoftmax": "log_softmax",
    "LogSigmoid": "log_sigmoid",
}
# Layers that apply their `activation` last.
_LINEAR = (
    layers.Dense,
    layers.EinsumDense,
    layers.Conv1D,
    layers.Conv2D,
    layers.Conv3D,
    layers.SeparableConv1D,
    layers.SeparableConv2D,
)
# Layers that change nothing in inference.
_IDENTITIES = (
    layers.Identity,
    layers.Dropout,
    layers.SpatialDropout1D,
    layers.SpatialDropout2D,
    layers.SpatialDropout3D,
    layers.AlphaDropout,
    layers.GaussianDropout,
    layers.GaussianNoise,
    layers.ActivityRegularization,
)
_POOLINGS = (
    layers.GlobalAveragePooling1D,
    layers.GlobalAveragePooling2D,
    layers.GlobalAveragePooling3D,
)
_RESHAPES = ("Reshape", "Flatten", "Squeeze", "ExpandDims")
_COMBINATIONS = (*_RESHAPES, "Cast", "Mean", "Add", "Multiply", "Divide", "TrueDivide")


@dataclass(frozen=True)
class Mixture:
    """A weighted sum of activations, as the end of a graph computes it.

    Attributes:
        activation: A value of `_OPERATIONS`, or "linear" for logits.
        weight: Sum of the weights.
        axis: The axis of the classes, counted from 0.
        logits: Builds the logits if this is one activation, only reshaped; else None.
        log: Builds the logarithm of the sum or, if its argument is true, of `weight` minus it.
    """

    activation: str
    weight: float
    axis: int
    logits: Callable[[], keras.KerasTensor] | None
    log: Callable[[bool], keras.KerasTensor]


def mixture_of(tensor: keras.KerasTensor) -> Mixture | None:
    """Return what a tensor is a mixture of; None if the graph does not tell."""
    operation, last = tensor._keras_history.operation, len(tensor.shape) - 1
    if (name := _own_activation(tensor)) is not None:
        return _leaf(tensor, name)
    if isinstance(operation, _LINEAR) and operation.activation is keras.activations.linear:
        return Mixture("linear", 1.0, last, None, lambda of_rest: tensor)
    inputs = inputs_of(tensor)
    parts = [mixture_of(one) for one in inputs] if _is_combination(tensor) else []
    known = [part for part in parts if part is not None]
    if not known or len(known) < len(parts) or len({(p.activation, p.axis) for p in known}) > 1:
        return None
    return _combined(tensor, inputs, known)


def _leaf(tensor: keras.KerasTensor, name: str) -> Mixture | None:
    """Return an activation as the only part of a mixture."""
    own, axis = operation_of(tensor), len(tensor.shape) - 1
    if "softmax" in name:
        given = getattr(own, "axis", -1)
        if not isinstance(given, int):
            return None
        axis = given % len(tensor.shape)

    def logits() -> keras.KerasTensor:
        operation = tensor._keras_history.operation
        if not isinstance(operation, _LINEAR):
            return inputs_of(tensor)[0]
        operation.activation = keras.activations.linear
        return tensor

    def log(of_rest: bool) -> keras.KerasTensor:
        if name == SIGMOID:
            return ops.log_sigmoid(-logits() if of_rest else logits())
        return ops.log_softmax(logits(), axis=axis)

    return Mixture(name, 1.0, axis, logits, log)


def _own_activation(tensor: keras.KerasTensor) -> str | None:
    """Return the name of the activation that the operation of a tensor applies last, if known."""
    operation = tensor._keras_history.operation
    own = operation_of(tensor)
    is_keras_own = type(own).__module__.startswith("keras.")
    if is_keras_own and type(own).__name__ in _OPERATIONS:
        return _OPERATIONS[type(own).__name__]
    # A custom layer, which the copy only borrows, may do anything with its `activation`.
    if isinstance(operation, (*_LINEAR, layers.Activation)):
        activation = operation.activation
        return activation.__name__ if activation in _ACTIVATIONS else None
    return None


def _is_combination(tensor: keras.KerasTensor) -> bool:
    operation, own = tensor._keras_history.operation, operation_of(tensor)
    name = type(own).__name__ if type(own).__module__.startswith("keras.") else ""
    is_layer = isinstance(operation, (*_IDENTITIES, *_POOLINGS, layers.Average, layers.Add))
    return is_layer or _is_linear_activation(operation) or name in _COMBINATIONS


def _is_linear_activation(operation: keras.Operation) -> bool:
    return (
        isinstance(operation, layers.Activation)
        and operation.activation is keras.activations.linear
    )


def _combined(
    tensor: keras.KerasTensor, inputs: list[keras.KerasTensor], parts: list[Mixture]
) -> Mixture | None:
    """Return the mixture that an operation makes of mixtures of one kind."""
    operation, own, first = tensor._keras_history.operation, operation_of(tensor), parts[0]
    name = type(own).__name__
    if isinstance(operation, _IDENTITIES) or _is_linear_activation(operation) or name == "Cast":
        return first
    if name in _RESHAPES:
        return _reshaped(tensor, inputs[0], first)
    if name == "Mean" or isinstance(operation, _POOLINGS):
        return _averaged(own, inputs[0], first)
    if name == "Average":
        return _summed(parts, 1.0 / len(parts))
    if name == "Add" and len(parts) == len(inputs) > 1:
        return _summed(parts, 1.0)
    scale = _scale(tensor)
    return None if scale is None else _summed(parts, scale)


def _reshaped(
    tensor: keras.KerasTensor, before: keras.KerasTensor, part: Mixture
) -> Mixture | None:
    """Return a mixture whose axes of length 1 come and go."""
    count = before.shape[part.axis]
    for shape in (before.shape, tensor.shape):
        if [size for size in shape[1:] if size != 1] != [count]:
            return None
    logits = part.logits

    def again(value: keras.KerasTensor) -> keras.KerasTensor:
        history = tensor._keras_history
        node = history.operation._inbound_nodes[history.node_index]
        args, kwargs = node.arguments.fill_in({id(before): value})
        return history.operation(*args, **kwargs)

    return replace(
        part,
        axis=tuple(tensor.shape).index(count, 1),
        logits=None if logits is None else lambda: again(logits()),
        log=lambda of_rest: again(part.log(of_rest)),
    )


def _averaged(own: Any, before: keras.KerasTensor, part: Mixture) -> Mixture | None:
    """Return the mean of a mixture over places."""
    rank = len(before.shape)
    if isinstance(own, _POOLINGS):
        is_last = own.data_format == "channels_last"
        axes = list(range(1, rank - 1) if is_last else range(2, rank))
    else:
        given = range(rank) if own.axis is None else own.axis
        axes = [axis % rank for axis in ([given] if isinstance(given, int) else given)]
    if part.axis in axes or 0 in axes:
        return None
    removed = () if own.keepdims else tuple(axes)

    def log(of_rest: bool) -> keras.KerasTensor:
        logs = part.log(of_rest)
        highest = ops.max(logs, axis=tuple(axes), keepdims=True)
        means = ops.mean(ops.exp(logs - highest), axis=tuple(axes), keepdims=True)
        found = ops.log(means) + highest
        return ops.squeeze(found, axis=removed) if removed else found

    axis = part.axis - sum(one < part.axis for one in removed)
    return replace(part, axis=axis, logits=None, log=log)


def _summed(parts: list[Mixture], scale: float) -> Mixture:
    """Return the sum of mixtures, times a positive number."""

    def log(of_rest: bool) -> keras.KerasTensor:
        logs = [part.log(of_rest) for part in parts]
        highest = logs[0]
        for one in logs[1:]:
            highest = ops.maximum(highest, one)
        total = ops.exp(logs[0] - highest)
        for one in logs[1:]:
            total = total + ops.exp(one - highest)
        return ops.log(total) + highest + math.log(scale)

    weight = scale * sum(part.weight for part in parts)
    return replace(parts[0], weight=weight, logits=None, log=log)


def _scale(tensor: keras.KerasTensor) -> float | None:
    """Return the positive number by which an operation multiplies its input, if it does."""
    history = tensor._keras_history
    node = history.operation._inbound_nodes[history.node_index]
    values = tree.flatten((node.arguments.args, node.arguments.kwargs))
    numbers = [float(value) for value in values if isinstance(value, (int, float, np.number))]
    if len(numbers) != 1 or len(values) != 2 or numbers[0] <= 0:
        return None
    if type(operation_of(tensor)).__name__ == "Multiply":
        return numbers[0]
    is_divisor = isinstance(values[0], keras.KerasTensor)
    return 1.0 / numbers[0] if is_divisor else None
