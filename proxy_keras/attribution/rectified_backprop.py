"""Backpropagation to the image with modified gradients of rectifiers."""

from __future__ import annotations

from abc import abstractmethod

import tensorflow as tf

from proxy_keras.attribution.graph_backprop import (
    Rule,
    backpropagate,
    op_gradients,
    op_types,
    operations_between,
)
from proxy_keras.attribution.method import Method, MethodOutput
from proxy_keras.attribution.saliency import largest_magnitude
from proxy_keras.attribution.split_network import Network
from proxy_keras.attribution.target import Target

# The operations behind layers.ReLU, activation="relu", keras.ops.relu and leaky variants.
RECTIFIERS = frozenset({"Relu", "Relu6", "LeakyRelu"})


class RectifiedBackprop(Method):
    """A method that backpropagates the score with its own gradient rule for rectifiers.

    All other operations have their true gradient. Rectifiers are all kinds of ReLU, also with a
    maximum value or a negative slope; a hard sigmoid contains one.
    """

    has_image_size = True
    needs_image_gradient = True
    needs_layer = False

    @staticmethod
    @abstractmethod
    def rectifier_rule(operation: tf.Operation, gradient: tf.Tensor) -> list[tf.Tensor]:
        """Return the gradient of a rectifier's only input, given that of its output."""

    def __call__(self, network: Network, images: tf.Tensor, target: Target) -> MethodOutput:
        """Return logits and raw heatmaps [B, H, W] from one pass and its gradient; see `Method`.

        Raises:
            ValueError: The network has no rectifier.
        """
        images = tf.identity(images)
        logits = network.logits(images)
        gradients = self.image_gradients(images, logits, target(logits).gradient(logits))
        return logits, largest_magnitude(gradients)

    def image_gradients(
        self, images: tf.Tensor, logits: tf.Tensor, gradient: tf.Tensor
    ) -> tf.Tensor:
        """Return the modified gradients at the images, [B, H, W, C].

        Args:
            images: [B, H, W, C] float32, in the graph being traced.
            logits: [B, K] float32, computed from the images in that graph.
            gradient: [B, K] float32, of the score by the logits.

        Raises:
            ValueError: The network has no rectifier, or has one inside a compiled function.
        """
        operations = operations_between(images, logits)
        if not any(operation.type in RECTIFIERS for operation in operations):
            raise ValueError(
                f"{type(self).__name__} modifies the gradients of ReLUs. Received: a network "
                f"without any, of operations {sorted({o.type for o in operations})}. Use "
                "method='saliency' or 'integrated_gradients'."
            )
        return backpropagate(images, logits, gradient, operations, self._rule_of)

    def _rule_of(self, operation: tf.Operation) -> Rule:
        if operation.type in RECTIFIERS:
            return self.rectifier_rule
        if not op_types(operation).isdisjoint(RECTIFIERS):
            raise ValueError(
                f"Operation '{operation.name}' is a compiled function with a ReLU inside, whose "
                "gradient cannot be modified. Remove the tf.function from that layer's code."
            )
        return op_gradients
