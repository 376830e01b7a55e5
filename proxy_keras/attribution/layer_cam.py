"""LayerCAM."""

from __future__ import annotations

import tensorflow as tf

from proxy_keras.attribution.method import GradientMethod, weighted_channels


class LayerCAM(GradientMethod):
    """Every activation weighted by its own positive gradient.

    Source: Jiang et al., LayerCAM: Exploring Hierarchical Class Activation Maps for Localization
    (IEEE Transactions on Image Processing, 2021).
    """

    def combine(self, activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
        """Return the ReLU of the sum of weighted activations, [B, h, w]; see `GradientMethod`."""
        return weighted_channels(activations, tf.nn.relu(gradients))
