"""Conductance: integrated gradients through the units of a layer."""

from __future__ import annotations

import tensorflow as tf

from proxy_keras.attribution.image_gradient import merge_copies
from proxy_keras.attribution.method import MethodOutput
from proxy_keras.attribution.path_integral import Evaluation, PathMethod
from proxy_keras.attribution.split_network import Network
from proxy_keras.attribution.tape_vjp import vjp
from proxy_keras.attribution.target import Target


class Conductance(PathMethod):
    """Part of the score's increase from a baseline image that flows through each unit of a layer.

    The attributions of an image sum to its score minus the score of its baseline, if all
    information passes through the layer. Only the layers after it are differentiated; the change
    of each unit along the path is measured directly. Options: see `PathOptions`.

    Source: Dhamdhere et al., How Important Is a Neuron? (2018).
    """

    def attribute(self, network: Network, images: tf.Tensor, target: Target) -> MethodOutput:
        """Return logits and attributions [B, h, w, D] from `steps` + 2 passes."""
        activations, rest = network.run_features(images)
        logits = network.run_head(activations, rest)
        score = target(logits)

        def evaluate(copies: tf.Tensor) -> Evaluation:
            merged, owners = merge_copies(copies)
            units, others = network.run_features(merged)
            scores, pull_back = vjp(lambda x: score(network.run_head(x, others), owners), units)
            return tuple(
                tf.reshape(values, tf.concat([tf.shape(copies)[:2], tf.shape(values)[1:]], axis=0))
                for values in (units, scores, pull_back())
            )

        return logits, self.integrate(images, activations, evaluate)
