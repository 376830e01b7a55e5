"""Linear maps of Keras layers for relevance propagation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from proxy_keras.attribution.lrp_rules import LinearMap, Map, Tensors
from proxy_keras.graph import original_of

Convolve = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]

KERNEL_LAYERS = (
    keras.layers.Dense,
    keras.layers.Conv2D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
)


class BatchNormAffine:
    """A batch normalisation in inference, y = scale * x + shift, to be folded into a kernel.

    Args:
        layer: A built `keras.layers.BatchNormalization`.

    Attributes:
        scale: [C] float32.
        shift: [C] float32.
    """

    def __init__(self, layer: Any) -> None:
        self.scale = tf.math.rsqrt(layer.moving_variance + layer.epsilon)
        if layer.scale:
            self.scale *= layer.gamma
        self.shift = -self.scale * layer.moving_mean
        if layer.center:
            self.shift += layer.beta


def kernel_maps(operation: keras.Operation, norm: BatchNormAffine | None) -> list[LinearMap]:
    """Return the linear maps of one of `KERNEL_LAYERS`, without its activation.

    Args:
        operation: The layer of a `FlatClone`.
        norm: The following batch normalisation, which is folded in.

    Returns:
        One map, or two for a separable convolution.
    """
    layer: Any = original_of(operation)
    kernels = [tf.convert_to_tensor(weight) for weight in operation.weights]
    bias = kernels.pop() if layer.use_bias else 0.0
    scale: tf.Tensor | float = 1.0
    if norm is not None:
        bias, scale = bias * norm.scale + norm.shift, norm.scale
    if isinstance(layer, keras.layers.Dense):
        return [_kernel_map(tf.matmul, kernels[0] * scale, _channel_mean, bias)]
    if isinstance(layer, keras.layers.Conv2D):
        convolve = _convolution(layer, keras.ops.conv)
        return [_kernel_map(convolve, kernels[0] * scale, _conv_mean(layer, convolve), bias)]
    depthwise = _convolution(layer, keras.ops.depthwise_conv)
    kernel = kernels[0]
    channels, multiplier = kernel.shape[-2:]
    mean = _window_mean(depthwise, [*kernel.shape[:2], channels, 1], channels, multiplier)
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        if norm is not None:
            kernel *= tf.reshape(norm.scale, [channels, multiplier])
        return [_kernel_map(depthwise, kernel, mean, bias)]
    pointwise = kernels[1][0, 0] * scale
    return [
        _kernel_map(depthwise, kernel, mean, 0.0),
        _kernel_map(tf.matmul, pointwise, _channel_mean, bias),
    ]


def weighted_mean(call: Map) -> LinearMap:
    """Return the map of a sum whose weights are >= 0 and equal for all inputs of a unit."""
    return LinearMap(
        weighted_sum=call,
        positive=call,
        negative=None,
        mean=lambda inputs: call(inputs) / call([tf.ones_like(x) for x in inputs]),
    )


def difference(call: Map) -> LinearMap:
    """Return the map of the first input minus the second."""

    def negative(inputs: Tensors) -> tf.Tensor:
        return call([tf.zeros_like(inputs[0]), inputs[1]])

    return LinearMap(
        weighted_sum=call,
        positive=lambda inputs: call([inputs[0], tf.zeros_like(inputs[1])]),
        negative=negative,
        mean=lambda inputs: (inputs[0] + inputs[1]) / 2,
    )


def _kernel_map(apply: Convolve, kernel: tf.Tensor, mean: Map, bias: Any) -> LinearMap:
    return LinearMap(
        weighted_sum=lambda inputs: apply(inputs[0], kernel),
        positive=lambda inputs: apply(inputs[0], tf.nn.relu(kernel)),
        negative=lambda inputs: apply(inputs[0], tf.minimum(kernel, 0.0)),
        mean=mean,
        bias=bias,
    )


def _convolution(layer: Any, function: Callable[..., Any]) -> Convolve:
    def convolve(images: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        return function(
            images,
            kernel,
            strides=layer.strides,
            padding=layer.padding,
            data_format="channels_last",
            dilation_rate=layer.dilation_rate,
        )

    return convolve


def _conv_mean(layer: Any, convolve: Convolve) -> Map:
    groups = layer.groups
    ones = [*layer.kernel_size, 1, groups]
    return _window_mean(convolve, ones, groups, layer.filters // groups)


def _window_mean(convolve: Convolve, ones: list[int], groups: int, outputs: int) -> Map:
    """Return a function: the mean over each window and channel group, without padding."""

    def mean(inputs: Tensors) -> tf.Tensor:
        images = inputs[0]
        height, width = tf.shape(images)[1], tf.shape(images)[2]
        size = images.shape[-1] // groups
        grouped = tf.reshape(images, [-1, height, width, groups, size])
        grouped = tf.reduce_mean(grouped, axis=-1)
        kernel = tf.ones(ones)
        means = tf.math.divide_no_nan(
            convolve(grouped, kernel), convolve(tf.ones_like(grouped), kernel)
        )
        return means if groups == 1 else tf.repeat(means, outputs, axis=-1)

    return mean


def _channel_mean(inputs: Tensors) -> tf.Tensor:
    return tf.reduce_mean(inputs[0], axis=-1, keepdims=True)
