"""Statistics of the score's gradients over noisy copies of the image."""

from __future__ import annotations

from abc import abstractmethod

import tensorflow as tf

from proxy_keras.attribution.image_gradient import copies_per_pass, copy_gradients, fold
from proxy_keras.attribution.method import Method, MethodOutput, unit_scale
from proxy_keras.attribution.method_options import NoiseTunnelOptions
from proxy_keras.attribution.saliency import largest_magnitude
from proxy_keras.attribution.split_network import Network
from proxy_keras.attribution.stateless_random import normal
from proxy_keras.attribution.target import Target


class NoiseTunnel(NoiseTunnelOptions, Method):
    """A method that combines the gradients at many copies of the image with Gaussian noise.

    The explained class is that of the image without noise. All images get the same noise, scaled
    to the range of each, so that a heatmap does not depend on the batch.
    """

    has_image_size = True
    needs_image_gradient = True
    needs_layer = False

    @abstractmethod
    def combine(self, mean: tf.Tensor, mean_square: tf.Tensor) -> tf.Tensor:
        """Return the statistic to show, [B, H, W, C] float64.

        Args:
            mean: [B, H, W, C] float64, mean of the gradients over the copies.
            mean_square: [B, H, W, C] float64, mean of their squares.
        """

    def __call__(self, network: Network, images: tf.Tensor, target: Target) -> MethodOutput:
        """Return logits and raw heatmaps [B, H, W] from `samples` + 1 passes; see `Method`."""
        logits = network.logits(images)
        score = target(logits)
        axes = [1, 2, 3]
        high = tf.reduce_max(images, axis=axes, keepdims=True)
        deviations = self.noise * (high - tf.reduce_min(images, axis=axes, keepdims=True))

        def draw(index: tf.Tensor) -> tf.Tensor:
            return normal(tf.shape(images)[1:], self.seed, index)

        def update(
            indices: tf.Tensor, total: tf.Tensor, squares: tf.Tensor
        ) -> tuple[tf.Tensor, tf.Tensor]:
            draws = tf.map_fn(draw, indices, fn_output_signature=tf.float32)
            copies = images + deviations * draws[:, tf.newaxis]
            # Squares of large gradients overflow float32, and variances lose precision.
            _, gradients = copy_gradients(network, copies, score)
            gradients = tf.cast(gradients, tf.float64)
            total += tf.reduce_sum(gradients, axis=0)
            return total, squares + tf.reduce_sum(tf.square(gradients), axis=0)

        zeros = tf.zeros_like(images, tf.float64)
        sums = fold(self.samples, copies_per_pass(images, self.chunk_size), (zeros, zeros), update)
        shown, _ = unit_scale(self.combine(*(values / self.samples for values in sums)))
        return logits, largest_magnitude(tf.cast(shown, tf.float32))
