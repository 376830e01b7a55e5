"""Deconvnet: backpropagation that rectifies the signal instead of the activations."""

from __future__ import annotations

import tensorflow as tf

from proxy_keras.attribution.rectified_backprop import RectifiedBackprop


class Deconvnet(RectifiedBackprop):
    """The largest magnitude over channels of a deconvolutional network's output.

    A ReLU passes positive gradients only, whatever its input was. Max pooling passes gradients to
    the maxima of this image, as in the paper.

    Source: Zeiler and Fergus, Visualizing and Understanding Convolutional Networks (ECCV 2014).
    """

    @staticmethod
    def rectifier_rule(operation: tf.Operation, gradient: tf.Tensor) -> list[tf.Tensor]:
        """Return the positive part of the gradient; see `RectifiedBackprop`."""
        return [tf.nn.relu(gradient)]
