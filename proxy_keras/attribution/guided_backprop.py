"""Guided backpropagation."""

from __future__ import annotations

import tensorflow as tf

from proxy_keras.attribution.graph_backprop import op_gradients
from proxy_keras.attribution.rectified_backprop import RectifiedBackprop


class GuidedBackprop(RectifiedBackprop):
    """The largest magnitude over channels of the guided gradient.

    A ReLU passes positive gradients only, and only where its input was positive; a leaky ReLU
    scales them by its slope elsewhere.

    Source: Springenberg et al., Striving for Simplicity: The All Convolutional Net (2014).
    """

    @staticmethod
    def rectifier_rule(operation: tf.Operation, gradient: tf.Tensor) -> list[tf.Tensor]:
        """Return the true gradient of the positive part; see `RectifiedBackprop`."""
        return op_gradients(operation, tf.nn.relu(gradient))
