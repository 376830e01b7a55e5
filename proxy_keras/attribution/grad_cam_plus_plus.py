"""Grad-CAM++."""

from __future__ import annotations

import tensorflow as tf

from proxy_keras.attribution.method import GradientMethod, unit_scale, weighted_channels

# For larger products, alpha is 0 in float32 anyway.
_LARGEST_PRODUCT = 1e30


class GradCAMPlusPlus(GradientMethod):
    """Channels weighted by their positive gradients, each with its own coefficient alpha.

    The paper explains exp(logit), whose derivatives are exp(logit) times g, g^2, g^3. The exp
    cancels in alpha = g^2 / (2 g^2 + sum(A) g^3); elsewhere it is a factor per image, which scaling
    the map removes. It is never computed, so large logits cannot overflow.

    Source: Chattopadhay et al., Grad-CAM++: Generalized Gradient-based Visual Explanations for
    Deep Convolutional Networks (WACV 2018), equations 10 and 19.
    """

    def combine(self, activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
        """Return the ReLU of the weighted sum of channels, [B, h, w]; see `GradientMethod`."""
        gradients, scale = unit_scale(gradients)
        totals = scale * tf.reduce_sum(activations, axis=[1, 2], keepdims=True)
        totals = tf.clip_by_value(totals, -_LARGEST_PRODUCT, _LARGEST_PRODUCT)
        # The fraction is reduced by g^2, which would underflow for small gradients.
        alphas = tf.math.divide_no_nan(1.0, 2.0 + totals * gradients)
        # Where the gradient is 0, alpha is 0 by definition; the ReLU covers this case.
        weights = tf.reduce_sum(alphas * tf.nn.relu(gradients), axis=[1, 2], keepdims=True)
        return weighted_channels(activations, weights)
