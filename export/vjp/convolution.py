"""Rules of convolutions, whose transpose is a convolution of the spread-out gradient.

Source: Dumoulin and Visin, A Guide to Convolution Arithmetic for Deep Learning (2016), chapter 4.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from keras import layers, ops

from export.vjp.linear import finish
from export.vjp.rule import Pullback
from export.vjp.windows import Windows, spread


def conv(layer: layers.Conv2D, x: tf.Tensor) -> tuple[tf.Tensor, Pullback]:
    """Rule of a convolution, with strides, dilation and groups."""
    kernel = tf.convert_to_tensor(layer.kernel)
    # Not `ops.conv`, which wraps groups in a function that does not convert.
    product = tf.nn.conv2d(
        x, kernel, layer.strides, layer.padding.upper(), dilations=layer.dilation_rate
    )
    return finish(layer, product, _transposed(layer, x, kernel))


def depthwise_conv(layer: layers.DepthwiseConv2D, x: tf.Tensor) -> tuple[tf.Tensor, Pullback]:
    """Rule of a depthwise convolution."""
    return finish(layer, *_depthwise(layer, x, layer.kernel))


def separable_conv(layer: layers.SeparableConv2D, x: tf.Tensor) -> tuple[tf.Tensor, Pullback]:
    """Rule of a depthwise convolution followed by a pointwise convolution."""
    deep, through_depthwise = _depthwise(layer, x, layer.depthwise_kernel)
    mix = tf.convert_to_tensor(layer.pointwise_kernel)[0, 0]

    def pullback(gradient: tf.Tensor) -> tuple[tf.Tensor, ...]:
        return through_depthwise(tf.matmul(gradient, mix, transpose_b=True))

    return finish(layer, tf.matmul(deep, mix), pullback)


def _transposed(layer: Any, x: tf.Tensor, kernel: tf.Tensor) -> Pullback:
    """Return the pullback of a convolution with `kernel` [kh, kw, D / groups, K]."""
    rows, columns = _windows(layer, x, kernel)
    height, width, depth, filters = kernel.shape
    groups = layer.groups
    grouped = tf.reshape(kernel[::-1, ::-1], [height, width, depth, groups, filters // groups])
    back = tf.reshape(
        tf.transpose(grouped, [0, 1, 4, 3, 2]), [height, width, filters // groups, depth * groups]
    )

    def pullback(gradient: tf.Tensor) -> tuple[tf.Tensor]:
        spread_out = spread(gradient, rows, columns)
        return (tf.nn.conv2d(spread_out, back, 1, "VALID", dilations=layer.dilation_rate),)

    return pullback


def _depthwise(layer: Any, x: tf.Tensor, weights: Any) -> tuple[tf.Tensor, Pullback]:
    """Apply a depthwise convolution without bias and activation; `weights` is [kh, kw, D, m]."""
    kernel = tf.convert_to_tensor(weights)
    rows, columns = _windows(layer, x, kernel)
    height, width, depth, multiplier = kernel.shape
    product = ops.depthwise_conv(
        x, kernel, layer.strides, layer.padding, "channels_last", layer.dilation_rate
    )
    back = tf.reshape(kernel[::-1, ::-1], [height, width, depth * multiplier, 1])

    def pullback(gradient: tf.Tensor) -> tuple[tf.Tensor]:
        spread_out = spread(gradient, rows, columns)
        parts = tf.nn.depthwise_conv2d(
            spread_out, back, [1, 1, 1, 1], "VALID", dilations=layer.dilation_rate
        )
        of_filters = tf.reshape(parts, [-1, rows.size, columns.size, depth, multiplier])
        return (tf.reduce_sum(of_filters, axis=-1),)

    return product, pullback


def _windows(layer: Any, x: tf.Tensor, kernel: tf.Tensor) -> tuple[Windows, Windows]:
    rows, columns = (
        Windows(size, window, layer.padding, stride, dilation)
        for size, window, stride, dilation in zip(
            x.shape[1:3], kernel.shape[:2], layer.strides, layer.dilation_rate, strict=True
        )
    )
    return rows, columns
