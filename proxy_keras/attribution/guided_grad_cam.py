"""Guided Grad-CAM."""

from __future__ import annotations

import tensorflow as tf

from proxy_keras.attribution.grad_cam import GradCAM
from proxy_keras.attribution.guided_backprop import GuidedBackprop
from proxy_keras.attribution.method import Method, MethodOutput, unit_scale
from proxy_keras.attribution.saliency import largest_magnitude
from proxy_keras.attribution.split_network import Network
from proxy_keras.attribution.target import Target
from proxy_keras.heatmaps import scaling


class GuidedGradCAM(Method):
    """Guided backpropagation times the enlarged Grad-CAM of the target layer.

    Source: Selvaraju et al., Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
    Localization (ICCV 2017).
    """

    has_image_size = True
    needs_image_gradient = True

    def __call__(self, network: Network, images: tf.Tensor, target: Target) -> MethodOutput:
        """Return logits and raw heatmaps [B, H, W] from one pass; see `Method`.

        Raises:
            ValueError: The network has no ReLU.
        """
        images = tf.identity(images)
        activations, rest = network.run_features(images)
        logits, gradients = network.gradients(activations, rest, target)
        coarse = scaling.enlarge(GradCAM().combine(activations, gradients), tf.shape(images)[1:3])
        guided = GuidedBackprop().image_gradients(images, logits, target(logits).gradient(logits))
        guided, _ = unit_scale(guided)
        return logits, largest_magnitude(guided) * coarse
