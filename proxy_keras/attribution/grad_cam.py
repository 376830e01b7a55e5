"""Grad-CAM."""

from __future__ import annotations

import tensorflow as tf

from proxy_keras.attribution.method import GradientMethod, unit_scale, weighted_channels


class GradCAM(GradientMethod):
    """Channels weighted by the mean gradient of the score.

    Source: Selvaraju et al., Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
    Localization (ICCV 2017).
    """

    def combine(self, activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
        """Return the ReLU of the weighted sum of channels, [B, h, w]; see `GradientMethod`."""
        gradients, _ = unit_scale(gradients)
        weights = tf.reduce_mean(gradients, axis=[1, 2], keepdims=True)
        return weighted_channels(activations, weights)
