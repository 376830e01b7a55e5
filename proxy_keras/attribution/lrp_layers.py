"""Relevance propagation through each kind of Keras layer and operation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from proxy_keras.attribution.lrp_linear import (
    KERNEL_LAYERS,
    BatchNormAffine,
    difference,
    kernel_maps,
    weighted_mean,
)
from proxy_keras.attribution.lrp_rules import Back, LinearMap, Map, Rule, Tensors
from proxy_keras.attribution.tape_vjp import vjp
from proxy_keras.graph import inputs_of, operation_of, original_of

# Elementwise: each unit has one input, which gets all of its relevance.
_PASSING = frozenset(
    "Activation ReLU LeakyReLU PReLU ELU BatchNormalization Rescaling Normalization Dropout "
    "SpatialDropout2D AlphaDropout GaussianDropout GaussianNoise ActivityRegularization Identity "
    "Relu Relu6 LeakyRelu Elu Selu Celu Gelu Silu HardSilu Sigmoid HardSigmoid HardTanh Tanh "
    "Softplus Softsign Clip Cast Copy Negative "
    "RandomFlip RandomRotation RandomTranslation RandomZoom RandomContrast RandomBrightness".split()
)
# Elementwise if the other operand is a constant.
_ARITHMETIC = frozenset("Add Subtract Multiply Divide TrueDivide Maximum Minimum".split())
# Each output equals one of the inputs, which gets its relevance; in pooling the largest.
_SELECTING = frozenset(
    "Flatten Reshape Permute Cropping2D CenterCrop RepeatVector Concatenate MaxPooling2D "
    "GlobalMaxPooling2D AdaptiveMaxPooling2D Maximum MaxPool AdaptiveMaxPool Max Amax Transpose "
    "Squeeze ExpandDims Swapaxes Moveaxis GetItem Split Stack Repeat Ravel Flip".split()
)
_AVERAGING = frozenset(
    "Add Average AveragePooling2D GlobalAveragePooling2D AdaptiveAveragePooling2D AveragePool "
    "AdaptiveAveragePool Mean Sum".split()
)
_KEEPING_SIGN = _SELECTING | _AVERAGING | {"Dropout", "SpatialDropout2D", "ZeroPadding2D"}
_GATES = frozenset(
    "sigmoid hard_sigmoid hardsigmoid softmax tanh sparse_sigmoid sparsesigmoid".split()
)
_POSITIVE = (_GATES | {"relu", "relu6"}) - {"tanh"}


class LayerRules:
    """Forward passes of single nodes, each with a backward function for relevance.

    Args:
        rule: The rule for linear units.
        nodes: The nodes of the network, in topological order.
    """

    def __init__(self, rule: Rule, nodes: list[Any]) -> None:
        self._rule = rule
        users: dict[int, list[Any]] = {}
        for node in nodes:
            for tensor in node.input_tensors:
                users.setdefault(id(tensor), []).append(node)
        self._positive = _nonnegative(nodes)
        self._norms = {id(node): norm for node in nodes if (norm := _norm_after(node, users))}
        self._folded = {id(norm) for norm in self._norms.values()}

    def run(self, node: Any, tensors: list[Any], inputs: Tensors) -> tuple[Tensors, Back]:
        """Return the outputs of a node, and a function from their relevance to the inputs'.

        Args:
            node: One of the nodes.
            tensors: Its symbolic inputs, without repetition.
            inputs: Their values.

        Returns:
            Values of the node's outputs, and a function of their relevance: a tensor, or a list
            for several outputs.

        Raises:
            ValueError: There is no rule for this layer or operation.
        """
        if id(node) in self._folded:
            return inputs, lambda relevance: [relevance]
        layer = original_of(node.operation)
        kind = type(layer).__name__
        is_positive = self._positive.issuperset(id(tensor) for tensor in tensors)

        def call(values: Tensors) -> Any:
            given = {id(tensor): value for tensor, value in zip(tensors, values, strict=True)}
            args, kwargs = node.arguments.fill_in(given)
            if getattr(node.operation, "_call_has_training_arg", False):
                kwargs = {**kwargs, "training": False}
            return node.operation(*args, **kwargs)

        if not type(layer).__module__.startswith("keras.") or not inputs:
            raise _no_rule(node)
        if isinstance(layer, KERNEL_LAYERS):
            return self._run_kernel(node, inputs, is_positive)
        if kind in _PASSING or (kind in _ARITHMETIC and len(inputs) == 1):
            is_numerator = kind not in ("Divide", "TrueDivide") or _is_first(node, tensors[0])
            if tuple(node.outputs[0].shape) != tuple(tensors[0].shape) or not is_numerator:
                raise _no_rule(node)
            return [call(inputs)], lambda relevance: [relevance]
        if kind in ("Multiply", "Divide", "TrueDivide"):
            return [call(inputs)], _signals_only(tensors, inputs, kind, node)
        if kind == "Subtract":
            return self._run_linear(difference(call), inputs, is_positive)
        if kind == "UpSampling2D" and layer.interpolation == "nearest" or kind in _SELECTING:
            return _run_selecting(call, inputs)
        if kind == "UpSampling2D" or kind in _AVERAGING:
            return self._run_linear(weighted_mean(call), inputs, is_positive)
        if kind in ("ZeroPadding2D", "Pad"):
            return [call(inputs)], _nearest_inside(inputs[0], _paddings(layer, kind))
        raise _no_rule(node)

    def _run_linear(
        self, linear: LinearMap, inputs: Tensors, is_positive: bool
    ) -> tuple[Tensors, Back]:
        units, back = self._rule.forward(linear, inputs, is_positive)
        return [units], back

    def _run_kernel(self, node: Any, inputs: Tensors, is_positive: bool) -> tuple[Tensors, Back]:
        layer: Any = original_of(node.operation)
        is_last = getattr(layer, "data_format", "channels_last") == "channels_last"
        if not is_last or getattr(layer, "lora_enabled", False):
            raise _no_rule(node)
        norm = self._norms.get(id(node))
        values = inputs
        backs: list[Back] = []
        for linear in kernel_maps(
            node.operation, BatchNormAffine(norm.operation) if norm else None
        ):
            # The output of a depthwise step can be negative.
            values, back = self._run_linear(linear, values, is_positive and not backs)
            backs.append(back)

        def back_through_all(relevance: tf.Tensor) -> Tensors:
            for back in reversed(backs):
                (relevance,) = back(relevance)
            return [relevance]

        return [layer.activation(values[0])], back_through_all


def _nonnegative(nodes: list[Any]) -> set[int]:
    """Return the `id`s of tensors that cannot be negative."""
    found: set[int] = set()
    for node in nodes:
        layer = original_of(node.operation)
        kind = type(layer).__name__
        is_kept = kind in _KEEPING_SIGN and found.issuperset(map(id, node.input_tensors))
        # With a single input, the other summand is a constant of any sign.
        is_kept = is_kept and (kind != "Add" or len(node.input_tensors) > 1)
        is_rectified = kind == "ReLU" and not layer.negative_slope and not layer.threshold
        if is_kept or is_rectified or _squashing(layer) in _POSITIVE:
            found.update(map(id, node.outputs))
    return found


def _squashing(layer: Any) -> str:
    """Return the name of the layer's activation function, or of the operation itself."""
    function = getattr(layer, "activation", None)
    return type(layer).__name__.lower() if function is None else getattr(function, "__name__", "")


def _norm_after(node: Any, users: dict[int, list[Any]]) -> Any:
    """Return the batch normalisation that is the only consumer of a linear layer, or None."""
    layer = original_of(node.operation)
    followers = users.get(id(node.outputs[0]), [])
    if (
        not isinstance(layer, KERNEL_LAYERS)
        or layer.activation is not keras.activations.linear
        or len(followers) != 1
        or type(followers[0].operation) is not keras.layers.BatchNormalization
    ):
        return None
    axis, rank = followers[0].operation.axis, len(node.outputs[0].shape)
    return followers[0] if axis in (-1, rank - 1) else None


def _run_selecting(call: Callable[[Tensors], Any], inputs: Tensors) -> tuple[Tensors, Back]:
    outputs, back = vjp(call, inputs)
    return tf.nest.flatten(outputs), back


def _signals_only(tensors: list[Any], inputs: Tensors, kind: str, node: Any) -> Back:
    """Return a function that divides relevance evenly among a product's signals, not its gates."""
    if kind == "Multiply":
        full = [tensor for tensor in tensors if tensor.shape == node.outputs[0].shape] or tensors
        signals = [id(tensor) for tensor in full if not _is_gate(tensor)] or [*map(id, full)]
    else:
        signals = [id(tensor) for tensor in tensors if _is_first(node, tensor)]
    product = _broadcast_sum([id(tensor) in signals for tensor in tensors])
    return _run_selecting(product, inputs)[1]


def _broadcast_sum(chosen: list[bool]) -> Map:
    """Return a function: the mean of the chosen inputs, broadcast to the shape of all inputs."""

    def mean(inputs: Tensors) -> tf.Tensor:
        shape = tf.shape(inputs[0])
        for value in inputs[1:]:
            shape = tf.broadcast_dynamic_shape(shape, tf.shape(value))
        picked = [x for x, is_chosen in zip(inputs, chosen, strict=True) if is_chosen]
        return sum(tf.broadcast_to(x, shape) for x in picked) / len(picked)

    return mean


def _is_gate(tensor: Any) -> bool:
    """Return whether the tensor is a squashing function's output, possibly reshaped or scaled."""
    while True:
        operation = operation_of(tensor)
        kind = type(operation).__name__
        if _squashing(operation) in _GATES:
            return True
        parents = inputs_of(tensor)
        is_moved = kind in ("Reshape", "ExpandDims", "Cast", "Identity", "Permute")
        if len(parents) != 1 or not (is_moved or kind in _ARITHMETIC):
            # Mobile networks write a gate as x * relu6(x + 3) / 6.
            return getattr(operation, "max_value", None) is not None or kind == "Relu6"
        tensor = parents[0]


def _is_first(node: Any, tensor: Any) -> bool:
    first = (*node.arguments.args, *node.arguments.kwargs.values())[0]
    return first is tensor


def _paddings(layer: Any, kind: str) -> list[tuple[int, int]]:
    """Return (before, after) for each axis except the first."""
    if kind == "ZeroPadding2D":
        pairs = [tuple(pair) for pair in layer.padding]
        return [(0, 0), *pairs] if layer.data_format == "channels_first" else pairs
    return [tuple(pair) for pair in layer.pad_width[1:]]


def _nearest_inside(values: tf.Tensor, paddings: list[tuple[int, int]]) -> Back:
    """Return a function that gives relevance of padding to the nearest value inside."""

    def repeat_border(inputs: Tensors) -> tf.Tensor:
        padded = inputs[0]
        for axis, (before, after) in enumerate(paddings, start=1):
            length = tf.shape(padded)[axis]
            places = tf.clip_by_value(tf.range(-before, length + after), 0, length - 1)
            padded = tf.gather(padded, places, axis=axis)
        return padded

    return _run_selecting(repeat_border, [values])[1]


def _no_rule(node: Any) -> ValueError:
    layer = original_of(node.operation)
    return ValueError(
        f"LRP has no rule for layer '{layer.name}' ({type(layer).__name__}). It supports Keras' "
        "own dense and convolution layers, pooling, sums, gates and elementwise activations. Use "
        "another method for this model, e.g. integrated_gradients."
    )
