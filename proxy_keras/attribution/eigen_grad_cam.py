"""Eigen-Grad-CAM."""

from __future__ import annotations

import tensorflow as tf

from proxy_keras.attribution.method import GradientMethod, unit_scale
from proxy_keras.attribution.principal_component import first_component


class EigenGradCAM(GradientMethod):
    """The first principal component of the activations times their gradients.

    Its sign is chosen to be positive where the products add to the score.

    Source: Muhammad and Yeasin, Eigen-CAM: Class Activation Map using Principal Components
    (IJCNN 2020), applied to HiResCAM's products as in Gildenblat, pytorch-grad-cam (2021).
    """

    def combine(self, activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
        """Return the ReLU of the first component, [B, h, w]; see `GradientMethod`."""
        activations, _ = unit_scale(activations)
        gradients, _ = unit_scale(gradients)
        products, _ = unit_scale(activations * gradients)
        return tf.nn.relu(first_component(products, tf.reduce_sum(products, axis=-1)))
