"""Rules of activation functions, from their closed-form derivatives."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf
from keras import activations, layers

from export.vjp.rule import Pullback, Rule

# (input x, output y, options) -> dy/dx, elementwise. At a kink the value is that of TensorFlow's
# gradient. Branches are combined by masks of 0 and 1, as tf2onnx converts `where`, so no branch may
# overflow where the other is used.
Derivative = Callable[..., Any]

_GELU_CUBIC = 0.044715
_SELU_SCALE = 1.0507009873554805
_SELU_ALPHA = 1.6732632423543772


def relu(
    x: tf.Tensor,
    y: tf.Tensor,
    negative_slope: float = 0.0,
    max_value: float | None = None,
    threshold: float = 0.0,
) -> tf.Tensor:
    if negative_slope and max_value is None and threshold == 0:
        return leaky_relu(x, y, negative_slope)
    active = x > threshold
    if max_value is not None:
        # Here Keras calls ReLU6, whose gradient at the limit is 0; that of its clip is 1.
        is_relu6 = max_value == 6 and threshold == 0
        active = tf.logical_and(active, x < max_value if is_relu6 else x <= max_value)
    if not negative_slope:
        return _mask(active)
    return _mask(active) + negative_slope * _mask(x < threshold)


def leaky_relu(x: tf.Tensor, y: tf.Tensor, negative_slope: float = 0.2) -> tf.Tensor:
    return _mask(x > 0) + negative_slope * _mask(x <= 0)


def elu(x: tf.Tensor, y: tf.Tensor, alpha: float = 1.0) -> tf.Tensor:
    return _mask(x > 0) + alpha * _mask(x <= 0) * tf.exp(tf.minimum(x, 0.0))


def selu(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    # By the output's sign, as in TensorFlow: it is zero for the smallest negative numbers.
    decay = _SELU_ALPHA * tf.exp(tf.minimum(x, 0.0))
    return _SELU_SCALE * (_mask(y >= 0) + _mask(y < 0) * decay)


def gelu(x: tf.Tensor, y: tf.Tensor, approximate: bool = False) -> tf.Tensor:
    """Derivative of the GELU. Source: Hendrycks and Gimpel (2016)."""
    if approximate:
        # No "0.5 * x": ONNX Runtime 1.31 would merge it with that of the function, remove both when
        # it fuses the function, and then reject the file.
        factor = math.sqrt(2 / math.pi)
        tanh = tf.tanh(factor * x * (1 + _GELU_CUBIC * x * x))
        half_slope = 0.5 * factor + 1.5 * factor * _GELU_CUBIC * tf.square(x)
        return 0.5 + 0.5 * tanh + x * (1 - tanh * tanh) * half_slope
    cumulative = 0.5 * (1 + tf.math.erf(x / math.sqrt(2)))
    return cumulative + x * tf.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)


def silu(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    sigmoid_x = tf.sigmoid(x)
    return sigmoid_x * (1 + x * (1 - sigmoid_x))


def hard_sigmoid(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    return relu(x + 3.0, y, max_value=6.0) / 6.0


def hard_silu(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    return activations.hard_sigmoid(x) + x * hard_sigmoid(x, y)


def clip(x: tf.Tensor, y: tf.Tensor, x_min: float, x_max: float) -> tf.Tensor:
    return _mask(tf.logical_and(x >= x_min, x <= x_max))


def mish(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """Derivative of Mish. Source: Misra, A Self Regularized Activation Function (2019)."""
    gate = tf.tanh(tf.math.softplus(x))
    return gate + x * tf.sigmoid(x) * (1 - gate * gate)


def squareplus(x: tf.Tensor, y: tf.Tensor, b: float = 4) -> tf.Tensor:
    return 0.5 * (1 + x / tf.sqrt(x * x + b))


def _mask(condition: tf.Tensor) -> tf.Tensor:
    return tf.cast(condition, tf.float32)


def elementwise(derivative: Derivative, *options: str) -> Rule:
    """Return the rule of an elementwise function.

    Args:
        derivative: Its derivative.
        options: Names of the layer attributes to pass to the derivative.

    Returns:
        A rule for a layer, an operation or, without options, a plain function.
    """

    def rule(function: Any, x: tf.Tensor) -> tuple[tf.Tensor, Pullback]:
        y = function(x)
        values = {option: getattr(function, option) for option in options}
        return y, lambda gradient: (gradient * derivative(x, y, **values),)

    return rule


def softmax(function: Any, x: tf.Tensor) -> tuple[tf.Tensor, Pullback]:
    """Rule of the softmax over one or several axes."""
    axis = _axis(function)
    y = function(x)

    def pullback(gradient: tf.Tensor) -> tuple[tf.Tensor]:
        shared = tf.reduce_sum(gradient * y, axis=axis, keepdims=True)
        return (y * (gradient - shared),)

    return y, pullback


def log_softmax(function: Any, x: tf.Tensor) -> tuple[tf.Tensor, Pullback]:
    """Rule of the logarithm of the softmax."""
    axis = _axis(function)
    y = function(x)

    def pullback(gradient: tf.Tensor) -> tuple[tf.Tensor]:
        shared = tf.reduce_sum(gradient, axis=axis, keepdims=True)
        return (gradient - tf.exp(y) * shared,)

    return y, pullback


def prelu(layer: layers.PReLU, x: tf.Tensor) -> tuple[tf.Tensor, Pullback]:
    """Rule of the ReLU with a learned negative slope; its derivative at 0 is 0, as in Keras.

    Source: He et al., Delving Deep into Rectifiers (2015).
    """
    slope = tf.convert_to_tensor(layer.alpha)
    return layer(x), lambda g: (g * (_mask(x > 0) + slope * _mask(x < 0)),)


def _axis(function: Any) -> int | list[int]:
    """Return the axes of a softmax; for a plain function the last one."""
    axis = getattr(function, "axis", -1)
    if axis is None:
        raise NotImplementedError("it normalises over the batch (axis=None)")
    return list(axis) if isinstance(axis, (list, tuple)) else int(axis)


_FUNCTIONS: dict[str, Rule] = {
    "linear": elementwise(lambda x, y: tf.ones_like(x)),
    "relu": elementwise(relu),
    "relu6": elementwise(lambda x, y: relu(x, y, max_value=6.0)),
    "leaky_relu": elementwise(leaky_relu),
    "elu": elementwise(elu),
    "selu": elementwise(selu),
    "gelu": elementwise(gelu),
    "silu": elementwise(silu),
    "sigmoid": elementwise(lambda x, y: y * (1 - y)),
    "log_sigmoid": elementwise(lambda x, y: tf.sigmoid(-x)),
    "hard_sigmoid": elementwise(hard_sigmoid),
    "hard_silu": elementwise(hard_silu),
    "hard_tanh": elementwise(lambda x, y: clip(x, y, -1.0, 1.0)),
    "tanh": elementwise(lambda x, y: 1 - y * y),
    "tanh_shrink": elementwise(lambda x, y: tf.square(tf.tanh(x))),
    "softplus": elementwise(lambda x, y: tf.sigmoid(x)),
    "softsign": elementwise(lambda x, y: 1 / tf.square(1 + tf.abs(x))),
    "squareplus": elementwise(squareplus),
    "exponential": elementwise(lambda x, y: y),
    "mish": elementwise(mish),
    "softmax": softmax,
    "log_softmax": log_softmax,
}
"""Rules of the functions of `keras.activations`, with default options, by name."""

ACTIVATIONS: dict[Callable[..., Any], Rule] = {
    getattr(activations, name): rule for name, rule in _FUNCTIONS.items()
}

ACTIVATION_LAYERS: dict[type[keras.Operation], Rule] = {
    layers.ReLU: elementwise(relu, "negative_slope", "max_value", "threshold"),
    layers.LeakyReLU: elementwise(leaky_relu, "negative_slope"),
    layers.PReLU: prelu,
    layers.ELU: elementwise(elu, "alpha"),
    layers.Softmax: softmax,
}

ACTIVATION_OPERATIONS: dict[str, Rule] = {
    # `leaky_relu` records "LeakyRelu", but `linear` nothing and `exponential` "Exp".
    **{
        name.title().replace("_", ""): rule
        for name, rule in _FUNCTIONS.items()
        if name not in ("linear", "exponential")
    },
    # What `keras.activations.relu` records; `keras.ops.relu` records "Relu".
    "ReLU": ACTIVATION_LAYERS[layers.ReLU],
    "LeakyRelu": elementwise(leaky_relu, "negative_slope"),
    "Elu": elementwise(elu, "alpha"),
    "Gelu": elementwise(gelu, "approximate"),
    "Squareplus": elementwise(squareplus, "b"),
    "Exp": _FUNCTIONS["exponential"],
    "Clip": elementwise(clip, "x_min", "x_max"),
    "Negative": elementwise(lambda x, y: -tf.ones_like(x)),
    "Square": elementwise(lambda x, y: 2 * x),
    "Sqrt": elementwise(lambda x, y: 0.5 / y),
}


def activate(function: Any, x: tf.Tensor) -> tuple[tf.Tensor, Pullback]:
    """Apply a layer's activation, and return its output and pullback.

    Args:
        function: The layer's `activation`: a function, or another layer.
        x: Its input.

    Raises:
        NotImplementedError: The function has no rule.
    """
    rule = ACTIVATION_LAYERS.get(type(function)) or ACTIVATIONS.get(function)
    if rule is None:
        known = ", ".join(sorted(known.__name__ for known in ACTIVATIONS))
        name = getattr(function, "__name__", type(function).__name__)
        raise NotImplementedError(f"its activation is {name}; supported are {known}")
    return rule(function, x)


def activation(layer: layers.Activation, x: tf.Tensor) -> tuple[tf.Tensor, Pullback]:
    """Rule of the `Activation` layer."""
    return activate(layer.activation, x)
