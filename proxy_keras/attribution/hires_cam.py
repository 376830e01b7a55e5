"""HiResCAM."""

from __future__ import annotations

import tensorflow as tf

from proxy_keras.attribution.method import GradientMethod, weighted_channels


class HiResCAM(GradientMethod):
    """Every activation weighted by its own signed gradient.

    Source: Draelos and Carin, Use HiResCAM instead of Grad-CAM for Faithful Explanations of
    Convolutional Neural Networks (arXiv 2011.08891, 2020).
    """

    def combine(self, activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
        """Return the ReLU of the sum of weighted activations, [B, h, w]; see `GradientMethod`."""
        return weighted_channels(activations, gradients)
