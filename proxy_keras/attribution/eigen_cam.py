"""Eigen-CAM."""

from __future__ import annotations

import tensorflow as tf

from proxy_keras.attribution.method import Method, MethodOutput, unit_scale
from proxy_keras.attribution.principal_component import first_component
from proxy_keras.attribution.split_network import Network
from proxy_keras.attribution.target import Target


class EigenCAM(Method):
    """The first principal component of the target layer's activations, for no specific class.

    Its sign is chosen to be positive where the activations are large.

    Source: Muhammad and Yeasin, Eigen-CAM: Class Activation Map using Principal Components
    (IJCNN 2020).
    """

    single_pass = True

    def __call__(self, network: Network, images: tf.Tensor, target: Target) -> MethodOutput:
        """Return logits and raw heatmaps, which do not depend on the target; see `Method`."""
        activations, rest = network.run_features(images)
        logits = network.run_head(activations, rest)
        scaled, _ = unit_scale(activations)
        energy = tf.reduce_sum(tf.square(scaled), axis=-1)
        return logits, tf.nn.relu(first_component(activations, energy))
