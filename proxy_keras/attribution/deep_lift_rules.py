"""DeepLIFT's rules for single operations: change of the output per change of an input."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tensorflow as tf

from proxy_keras.attribution.graph_backprop import op_gradients, op_types

PairRule = Callable[..., Sequence[tf.Tensor | None]]
"""(operation, the same for the baseline, *gradients of its outputs) -> gradients of its inputs."""

# Below this share of the values themselves, a quotient of differences is mostly rounding.
_SMALL = 1e-3

# Linear operations, and the inputs in which they are linear (None: jointly in all inputs).
_LINEAR: dict[str, set[int] | None] = {
    **dict.fromkeys(("AddV2", "Add", "Sub", "AddN", "BiasAdd", "ConcatV2", "Pack")),
    **dict.fromkeys(("Conv2D", "DepthwiseConv2dNative", "AvgPool", "Mean", "Sum", "Neg"), {0}),
    **dict.fromkeys(("Reshape", "Transpose", "ExpandDims", "Squeeze", "Cast", "Unpack"), {0}),
    **dict.fromkeys(("SplitV", "Slice", "StridedSlice", "GatherV2", "Pad", "PadV2"), {0}),
    **dict.fromkeys(("MirrorPad", "Tile", "BroadcastTo", "ReverseV2", "Roll", "Cumsum"), {0}),
    **dict.fromkeys(("SpaceToBatchND", "BatchToSpaceND", "SpaceToDepth", "DepthToSpace"), {0}),
    **dict.fromkeys(("ResizeBilinear", "ResizeNearestNeighbor", "ResizeBicubic"), {0}),
    "Split": {1},
    "Conv2DBackpropInput": {2},
    "Select": {1, 2},
    "SelectV2": {1, 2},
}
# Identities; the registered gradient of some of them differs from that of an identity.
_PASSING = frozenset({"Identity", "IdentityN", "StopGradient", "PreventGradient", "EnsureShape"})
# Operations that a compiled function may contain besides linear ones.
_WITHOUT_EFFECT = frozenset({"Const", "NoOp", "ReadVariableOp", "Placeholder", "Shape", *_PASSING})
# Bilinear or quadratic: the gradient at the midpoint times the inputs' change is exact.
_BILINEAR = frozenset(
    {"Mul", "MatMul", "BatchMatMul", "BatchMatMulV2", "Einsum", "Square", "SquaredDifference"}
)
_ELEMENTWISE = frozenset(
    "Relu Relu6 LeakyRelu Elu Selu Sigmoid Tanh Softplus Softsign Erf Erfc Exp Expm1 Log Log1p "
    "Sqrt Rsqrt Reciprocal Inv Abs Sin Cos Atan".split()
)


def rule_for(operation: tf.Operation, places: list[int]) -> PairRule:
    """Return the rule for an operation.

    Args:
        operation: Any operation between the image and the score.
        places: Indices of its inputs that depend on the image.

    Raises:
        ValueError: There is no exact rule for it.
    """
    kind = operation.type
    if all(operation.inputs[place].dtype.is_floating for place in places):
        allowed = _LINEAR.get(kind, set())
        if kind in _PASSING:
            return _passing
        if allowed is None or allowed.issuperset(places):
            return _linear
        if kind in _BILINEAR and len(operation.inputs) <= 2:
            return _bilinear
        if kind in _ELEMENTWISE:
            return _rescale
        if kind in _SPECIAL:
            return _SPECIAL[kind]
        if len(places) == 1 and op_types(operation) <= _WITHOUT_EFFECT | set(_LINEAR):
            return _linear
    raise ValueError(
        f"DeepLIFT has no rule for operation '{operation.name}' of type {kind} (inputs {places}), "
        "which the score depends on. Use method='integrated_gradients', which needs only gradients."
    )


def _passing(
    operation: tf.Operation, reference: tf.Operation, *gradients: tf.Tensor
) -> Sequence[tf.Tensor | None]:
    return gradients


def _linear(
    operation: tf.Operation, reference: tf.Operation, *gradients: tf.Tensor
) -> Sequence[tf.Tensor | None]:
    return op_gradients(operation, *gradients)


def _bilinear(
    operation: tf.Operation, reference: tf.Operation, gradient: tf.Tensor
) -> Sequence[tf.Tensor | None]:
    return op_gradients(_at_midpoint(operation, reference), gradient)


def _rescale(
    operation: tf.Operation, reference: tf.Operation, gradient: tf.Tensor
) -> Sequence[tf.Tensor | None]:
    value, before = operation.inputs[0], reference.inputs[0]
    (slope,) = op_gradients(_at_midpoint(operation, reference), tf.ones_like(operation.outputs[0]))
    rise = operation.outputs[0] - reference.outputs[0]
    return [gradient * _secant(value, before, rise, slope)]


def _secant(x: tf.Tensor, x0: tf.Tensor, rise: tf.Tensor, slope: tf.Tensor) -> tf.Tensor:
    """Return rise / (x - x0), or the slope at the midpoint where the two are too close."""
    change = x - x0
    is_small = tf.abs(change) <= _SMALL * (tf.abs(x) + tf.abs(x0))
    multipliers = tf.where(is_small, slope, tf.math.divide_no_nan(rise, change))
    # The slope of a square root is infinite at 0, where nothing changes.
    return tf.where(tf.math.is_finite(multipliers), multipliers, tf.zeros_like(multipliers))


def _at_midpoint(operation: tf.Operation, reference: tf.Operation) -> tf.Operation:
    """Return the operation applied to the mean of its inputs and the baseline's."""
    inputs = [
        # Halved first, so that the sum cannot overflow.
        value if value is before else value / 2 + before / 2
        for value, before in zip(operation.inputs, reference.inputs, strict=True)
    ]
    return operation.graph.create_op(
        operation.type,
        inputs,
        [tensor.dtype for tensor in operation.outputs],
        attrs=dict(operation.node_def.attr),
    )


def _quotient(
    operation: tf.Operation, reference: tf.Operation, gradient: tf.Tensor
) -> Sequence[tf.Tensor | None]:
    """Return the multipliers of a / b as the product of a and 1 / b."""
    (top, bottom), (top0, bottom0) = operation.inputs, reference.inputs
    inverse, inverse0 = 1.0 / bottom, 1.0 / bottom0
    product = (top / 2 + top0 / 2) * (inverse / 2 + inverse0 / 2)
    of_top, of_inverse = op_gradients(product.op, gradient)
    return [of_top, -of_inverse * inverse * inverse0]


def _elementwise_extremum(
    operation: tf.Operation, reference: tf.Operation, gradient: tf.Tensor
) -> Sequence[tf.Tensor | None]:
    """Return the multipliers of max(a, b) = b + relu(a - b) or min(a, b) = a - relu(a - b)."""
    (a, b), (a0, b0) = operation.inputs, reference.inputs
    difference, total = a - b, a + b
    before = a0 - b0
    rise = tf.nn.relu(difference) - tf.nn.relu(before)
    is_on = tf.cast(difference + before > 0.0, gradient.dtype)
    share = gradient * _secant(difference, before, rise, is_on)
    is_maximum = operation.type == "Maximum"
    of_a, of_b = op_gradients(difference.op, share if is_maximum else -share)
    plain_a, plain_b = op_gradients(total.op, gradient)
    return [of_a, of_b + plain_b] if is_maximum else [of_a + plain_a, of_b]


def _pooled_maximum(
    operation: tf.Operation, reference: tf.Operation, gradient: tf.Tensor
) -> Sequence[tf.Tensor | None]:
    """Return the multipliers of a maximum over cells.

    An increase goes to the image's maximal cell, a decrease to the baseline's. That cell changed at
    least as much, so its multiplier is within [0, 1].
    """
    rise = operation.outputs[0] - reference.outputs[0]
    gained = op_gradients(operation, gradient * tf.nn.relu(rise))[0]
    lost = op_gradients(reference, gradient * -tf.nn.relu(-rise))[0]
    change = operation.inputs[0] - reference.inputs[0]
    return [tf.math.divide_no_nan(gained + lost, change), *[None] * (len(operation.inputs) - 1)]


def _softmax(
    operation: tf.Operation, reference: tf.Operation, gradient: tf.Tensor
) -> Sequence[tf.Tensor | None]:
    """Return the multipliers of p = exp(z - logsumexp(z)) by the rescale rule.

    The secants s of the exponential give the change of p_i as s_i (change of z_i - change of the
    logsumexp). As the p always sum to 1, the latter is the mean change of z weighted by s.
    """
    secants = _exp_secants(operation, reference)
    shares = secants / tf.reduce_sum(secants, axis=-1, keepdims=True)
    mean = tf.reduce_sum(gradient * shares, axis=-1, keepdims=True)
    scaled = gradient * secants
    if operation.type == "Softmax":
        return [scaled - secants * mean]
    return [gradient - shares * tf.reduce_sum(gradient, axis=-1, keepdims=True)]


def _exp_secants(operation: tf.Operation, reference: tf.Operation) -> tf.Tensor:
    """Return the secants of exp between the two log-probabilities of each class."""
    x, x0 = (tf.nn.log_softmax(given.inputs[0]) for given in (operation, reference))
    return _secant(x, x0, tf.exp(x) - tf.exp(x0), tf.exp(x / 2 + x0 / 2))


_SPECIAL: dict[str, PairRule] = {
    "RealDiv": _quotient,
    "Maximum": _elementwise_extremum,
    "Minimum": _elementwise_extremum,
    "MaxPool": _pooled_maximum,
    "Max": _pooled_maximum,
    "Softmax": _softmax,
    "LogSoftmax": _softmax,
}
