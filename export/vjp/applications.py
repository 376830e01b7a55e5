"""Rules of the layers that only the networks of `keras.applications` have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
from keras import layers

# Not part of Keras' public API.
from keras.src.applications.convnext import LayerScale, StochasticDepth
from keras.src.applications.inception_resnet_v2 import CustomScaleLayer

from export.vjp.rule import Pullback, Rule
from export.vjp.shapes import identity


def layer_scale(layer: Any, x: tf.Tensor) -> tuple[tf.Tensor, Pullback]:
    """Rule of ConvNeXt's factor per channel."""
    gamma = tf.convert_to_tensor(layer.gamma)
    return x * gamma, lambda gradient: (gradient * gamma,)


def scaled_residual(layer: Any, xs: Sequence[tf.Tensor]) -> tuple[tf.Tensor, Pullback]:
    """Rule of Inception-ResNet's sum of a shortcut and a scaled residual."""
    scale = tf.constant(layer.scale, xs[0].dtype)
    return xs[0] + xs[1] * scale, lambda gradient: (gradient, gradient * scale)


APPLICATION_LAYERS: dict[type[layers.Layer], Rule] = {
    CustomScaleLayer: scaled_residual,
    LayerScale: layer_scale,
    StochasticDepth: identity,
}
