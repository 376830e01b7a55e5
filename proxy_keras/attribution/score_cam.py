"""Score-CAM."""

from __future__ import annotations

import tensorflow as tf

from proxy_keras import heatmaps
from proxy_keras.attribution.method import Method, ScoreWeights, unit_scale
from proxy_keras.attribution.network import Network


class ScoreCAM(Method):
    """Channels weighted by the class probability of the image that they mask.

    Each channel of the target layer, enlarged and scaled to [0, 1], masks the image as the model
    takes it; the weight is the softmax probability of the explained class for that image, or for
    a contrast the difference of two. All D channels cost a forward pass each.

    Args:
        chunk_size: Masked images per forward pass, >= 1; it bounds the memory.

    Raises:
        ValueError: `chunk_size` is below 1.

    Source: Wang et al., Score-CAM: Score-Weighted Visual Explanations for Convolutional Neural
    Networks (CVPR Workshops 2020).
    """

    def __init__(self, *, chunk_size: int = 32) -> None:
        if chunk_size < 1:
            raise ValueError(f"`chunk_size` must be >= 1. Received: {chunk_size}")
        self.chunk_size = chunk_size

    def __call__(
        self, network: Network, images: tf.Tensor, score_weights: ScoreWeights
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Logits and raw heatmaps; see `Method`."""
        activations, rest = network.cut(images)
        logits = network.answer(activations, rest)
        channels = self.select(activations)
        scores = self._scores(network, images, channels, score_weights(logits))
        channels, _ = unit_scale(channels)
        return logits, tf.nn.relu(tf.einsum("bhwd,bd->bhw", channels, scores))

    def select(self, activations: tf.Tensor) -> tf.Tensor:
        """The channels to score, [B, h, w, d], of activations [B, h, w, D]: all of them."""
        return activations

    def _scores(
        self, network: Network, images: tf.Tensor, channels: tf.Tensor, weights: tf.Tensor
    ) -> tf.Tensor:
        """[B, d] scores of the images masked by each of their channels."""
        shape = tf.shape(channels)
        size = tf.shape(images)[1:3]
        # [B * d, h, w]: one row per masked image, in the order of the result.
        masks = tf.reshape(tf.transpose(channels, [0, 3, 1, 2]), [-1, shape[1], shape[2]])
        total = tf.shape(masks)[0]
        chunks = (total + self.chunk_size - 1) // self.chunk_size
        results = tf.TensorArray(tf.float32, size=chunks, infer_shape=False, element_shape=[None])

        def score_chunk(
            chunk: tf.Tensor, results: tf.TensorArray
        ) -> tuple[tf.Tensor, tf.TensorArray]:
            start = chunk * self.chunk_size
            rows = tf.range(start, tf.minimum(start + self.chunk_size, total))
            enlarged = heatmaps.normalise(heatmaps.enlarge(tf.gather(masks, rows), size))
            owners = rows // shape[3]
            masked = tf.gather(images, owners) * enlarged[..., tf.newaxis]
            masked = tf.ensure_shape(masked, images.shape)
            probabilities = tf.nn.softmax(network.logits(masked))
            scores = tf.reduce_sum(probabilities * tf.gather(weights, owners), axis=-1)
            return chunk + 1, results.write(chunk, scores)

        # One chunk after the other, or the memory would not be bounded.
        _, results = tf.while_loop(
            lambda chunk, _: chunk < chunks, score_chunk, [0, results], parallel_iterations=1
        )
        return tf.reshape(results.concat(), [shape[0], shape[3]])
