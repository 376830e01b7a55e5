"""Deconvnet: backpropagation that rectifies the signal instead of the activations."""

from __future__ import annotations

import tensorflow as tf

from proxy_keras.attribution.rectified_backprop import RectifiedBackprop


class Deconvnet(RectifiedBackprop):
    """The largest magnitude over channels of what a deconvolutional net hands back.

    A ReLU hands back positive values only, whatever its input was. Max-pooling hands back to the
    maxima of this image, as in the paper.

    Source: Zeiler and Fergus, Visualizing and Understanding Convolutional Networks (ECCV 2014).
    """

    @staticmethod
    def rectifier_rule(operation: tf.Operation, gradient: tf.Tensor) -> list[tf.Tensor]:
        """The positive part of the gradient; see `RectifiedBackprop`."""
        return [tf.nn.relu(gradient)]
