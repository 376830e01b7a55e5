"""Saliency: the magnitude of the score's gradient."""

from __future__ import annotations

import tensorflow as tf

from proxy_keras.attribution.method import Method, MethodOutput
from proxy_keras.attribution.split_network import Network
from proxy_keras.attribution.tape_vjp import vjp
from proxy_keras.attribution.target import Target


class Saliency(Method):
    """The largest magnitude of the score's gradient over the channels of each pixel.

    Source: Simonyan et al., Deep Inside Convolutional Networks: Visualising Image Classification
    Models and Saliency Maps (2013).
    """

    has_image_size = True
    needs_image_gradient = True
    needs_layer = False

    def __call__(self, network: Network, images: tf.Tensor, target: Target) -> MethodOutput:
        """Return logits and raw heatmaps [B, H, W] from one pass and its gradient; see `Method`."""
        logits, pull_back = vjp(network.logits, images)
        return logits, largest_magnitude(pull_back(target(logits).gradient(logits)))


def largest_magnitude(values: tf.Tensor) -> tf.Tensor:
    """Return the largest magnitude over the channels, [B, H, W], of [B, H, W, C]."""
    return tf.reduce_max(tf.abs(values), axis=-1)
