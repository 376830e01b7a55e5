"""ForwardNetwork: the gradient at the target layer in forward operations that ONNX has."""

from __future__ import annotations

import keras
import tensorflow as tf

from export.vjp import Head, Purpose
from proxy_keras.attribution.linear_head import find_linear_head
from proxy_keras.attribution.split_network import Network
from proxy_keras.attribution.target import Target
from proxy_keras.graph import FlatClone


class ForwardNetwork(Network):
    """A network that computes the gradient at the target layer without a gradient tape.

    Args:
        flat: The classifier.
        target: The target layer's output [B, h, w, D], a tensor of `flat`.
        purpose: What the gradient is for, see `Head`.

    Raises:
        ValueError: A layer after the target layer has no VJP rule.
    """

    def __init__(
        self, flat: FlatClone, target: keras.KerasTensor, purpose: Purpose = "heatmap"
    ) -> None:
        super().__init__(flat, target)
        linear = find_linear_head(flat, target)
        self._head = Head(flat, target, purpose) if linear is None else linear

    def gradients(
        self, activations: tf.Tensor, rest: list[tf.Tensor], target: Target
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the logits and the score's gradient; see `Network`.

        After global average pooling and one dense layer the gradient is the same in all cells, so
        it is returned as [B, 1, 1, D].
        """
        if isinstance(self._head, Head):
            logits, pull_back = self._head(activations, rest)
            return logits, pull_back(target(logits).gradient(logits))
        logits = self.run_head(activations, rest)
        slopes = tf.matmul(target(logits).gradient(logits), self._head.kernel, transpose_b=True)
        cells = activations.shape[1] * activations.shape[2]
        return logits, slopes[:, tf.newaxis, tf.newaxis] / cells
