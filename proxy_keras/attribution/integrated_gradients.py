"""Integrated gradients."""

from __future__ import annotations

import tensorflow as tf

from proxy_keras.attribution.image_gradient import copy_gradients
from proxy_keras.attribution.method import MethodOutput
from proxy_keras.attribution.path_integral import Evaluation, PathMethod
from proxy_keras.attribution.split_network import Network
from proxy_keras.attribution.target import Target


class IntegratedGradients(PathMethod):
    """The mean gradient on the straight path from a baseline image, times the difference.

    The attributions of an image sum to its score minus the score of its baseline. `PathMethod`
    describes how the mean is computed. Options: see `PathOptions`.

    Source: Sundararajan et al., Axiomatic Attribution for Deep Networks (ICML 2017).
    """

    has_image_size = True
    needs_image_gradient = True
    needs_layer = False

    def attribute(self, network: Network, images: tf.Tensor, target: Target) -> MethodOutput:
        """Return logits and attributions [B, H, W, C] from `steps` + 2 passes."""
        logits = network.logits(images)
        score = target(logits)

        def evaluate(copies: tf.Tensor) -> Evaluation:
            return copies, *copy_gradients(network, copies, score)

        return logits, self.integrate(images, images, evaluate)
