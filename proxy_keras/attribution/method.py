"""What an attribution method is: logits and raw heatmaps from a network, images and a score."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

import tensorflow as tf

from proxy_keras.attribution.network import Network

# From logits [B, K] to the weights [B, K] of the score to explain, sum(weights * logits).
ScoreWeights = Callable[[tf.Tensor], tf.Tensor]


class Method(ABC):
    """One attribution method with its options, which are the arguments of its constructor.

    Attributes:
        single_pass: Whether the heatmaps come out of the forward pass that gives the logits.
    """

    single_pass: ClassVar[bool] = False

    @abstractmethod
    def __call__(
        self, network: Network, images: tf.Tensor, score_weights: ScoreWeights
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Logits and raw heatmaps; called inside a `tf.function`, with an open batch size.

        Args:
            network: The classifier.
            images: [B, H, W, C] float32, B >= 1.
            score_weights: Says what to explain, once the logits are known.

        Returns:
            Logits [B, K] and heatmaps [B, h, w] float32, >= 0 and not scaled.
        """


class GradientMethod(Method):
    """A method that combines the activations of the target layer with the score's gradient there.

    Only the head runs under the tape, so that explaining costs hardly more than the forward pass.
    """

    single_pass: ClassVar[bool] = True

    @abstractmethod
    def combine(self, activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
        """Raw heatmaps [B, h, w], >= 0.

        Args:
            activations: [B, h, w, D] float32.
            gradients: [B, h, w, D] float32, of the score with respect to `activations`.
        """

    def __call__(
        self, network: Network, images: tf.Tensor, score_weights: ScoreWeights
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Logits and raw heatmaps from one forward pass; see `Method`."""
        activations, rest = network.cut(images)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(activations)
            logits = network.answer(activations, rest)
            score = tf.reduce_sum(score_weights(logits) * logits)
        gradients = tape.gradient(
            score, activations, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        return logits, self.combine(activations, gradients)


def unit_scale(tensor: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Each example divided by its largest magnitude, and that magnitude.

    Heatmaps are scaled by their own range in the end, so a factor per image is free; without it
    products of large activations and gradients would leave float32.

    Args:
        tensor: [B, h, w, D] float32.

    Returns:
        [B, h, w, D] in [-1, 1], and [B, 1, 1, 1]. An example of zeros stays zeros.
    """
    scale = tf.reduce_max(tf.abs(tensor), axis=[1, 2, 3], keepdims=True)
    return tf.math.divide_no_nan(tensor, scale), scale
