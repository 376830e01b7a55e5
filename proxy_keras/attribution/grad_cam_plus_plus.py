"""Grad-CAM++."""

from __future__ import annotations

import tensorflow as tf

from proxy_keras.attribution.method import GradientMethod, unit_scale, weighted_channels

# Where the true product is larger, alpha is 0 in float32 anyway.
_LARGEST_PRODUCT = 1e30


class GradCAMPlusPlus(GradientMethod):
    """Channels weighted by their positive gradients, each with its own coefficient alpha.

    The paper explains exp(logit), whose derivatives are exp(logit) times g, g^2, g^3. The exp
    cancels in alpha = g^2 / (2 g^2 + sum(A) g^3), and elsewhere it is one factor per image, which
    the scaling of the map removes. So it is never computed, and large logits do no harm.

    Source: Chattopadhay et al., Grad-CAM++: Generalized Gradient-based Visual Explanations for
    Deep Convolutional Networks (WACV 2018), equations 10 and 19.
    """

    def combine(self, activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
        """ReLU of the weighted sum of channels, [B, h, w]; see `GradientMethod`."""
        gradients, scale = unit_scale(gradients)
        totals = scale * tf.reduce_sum(activations, axis=[1, 2], keepdims=True)
        totals = tf.clip_by_value(totals, -_LARGEST_PRODUCT, _LARGEST_PRODUCT)
        # Both halves of the fraction divided by g^2, which would underflow for small gradients.
        alphas = tf.math.divide_no_nan(1.0, 2.0 + totals * gradients)
        # ReLU leaves out the places where the gradient is 0, whose alpha is 0 by definition.
        weights = tf.reduce_sum(alphas * tf.nn.relu(gradients), axis=[1, 2], keepdims=True)
        return weighted_channels(activations, weights)
