"""Rules of normalisation layers in inference."""

from __future__ import annotations

import tensorflow as tf
from keras import layers

from export.vjp.rule import Pullback


def batch_normalization(
    layer: layers.BatchNormalization, x: tf.Tensor
) -> tuple[tf.Tensor, Pullback]:
    """Rule of batch normalisation, which in inference is one factor per channel.

    Source: Ioffe and Szegedy, Batch Normalization (2015).
    """
    factor = tf.math.rsqrt(tf.convert_to_tensor(layer.moving_variance) + layer.epsilon)
    if layer.scale:
        factor = factor * tf.convert_to_tensor(layer.gamma)
    shape = [1] * len(x.shape)
    shape[layer.axis] = -1
    factor = tf.reshape(factor, shape)
    return layer(x, training=False), lambda gradient: (gradient * factor,)


def layer_normalization(
    layer: layers.LayerNormalization, x: tf.Tensor
) -> tuple[tf.Tensor, Pullback]:
    """Rule of layer normalisation, over the last or other axes.

    Source: Ba et al., Layer Normalization (2016).
    """
    if layer.rms_scaling:
        raise NotImplementedError("it scales by the root mean square (rms_scaling=True)")
    given = layer.axis if isinstance(layer.axis, (list, tuple)) else [layer.axis]
    axes = sorted(axis % len(x.shape) for axis in given)
    shape = [x.shape[axis] if axis in axes else 1 for axis in range(len(x.shape))]
    centred = x - tf.reduce_mean(x, axes, keepdims=True)
    variance = tf.reduce_mean(tf.square(centred), axes, keepdims=True)
    factor = tf.math.rsqrt(variance + layer.epsilon)
    normal = centred * factor
    gamma = None if layer.gamma is None else tf.reshape(layer.gamma, shape)
    y = normal if gamma is None else normal * gamma
    if layer.beta is not None:
        y = y + tf.reshape(layer.beta, shape)

    def pullback(gradient: tf.Tensor) -> tuple[tf.Tensor]:
        scaled = gradient if gamma is None else gradient * gamma
        mean = tf.reduce_mean(scaled, axes, keepdims=True)
        along = tf.reduce_mean(scaled * normal, axes, keepdims=True)
        return (factor * (scaled - mean - normal * along),)

    return y, pullback


def rescaling(layer: layers.Rescaling, x: tf.Tensor) -> tuple[tf.Tensor, Pullback]:
    """Rule of `x * scale + offset`."""
    return layer(x), lambda gradient: (gradient * tf.constant(layer.scale, gradient.dtype),)
