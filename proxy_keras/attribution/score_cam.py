"""Score-CAM."""

from __future__ import annotations

import tensorflow as tf

from proxy_keras.attribution.method import ChunkedMethod, MethodOutput, unit_scale
from proxy_keras.attribution.split_network import Network
from proxy_keras.attribution.target import Score, Target
from proxy_keras.heatmaps import scaling


class ScoreCAM(ChunkedMethod):
    """Channels weighted by the class probability of the image that they mask.

    Each channel of the target layer, enlarged and scaled to [0, 1], masks the model's input; its
    weight is the softmax probability of the explained class for the masked image or, for a
    contrast, the difference of two. Each of the D channels costs a forward pass.

    Options: see `ChunkOptions`.

    Source: Wang et al., Score-CAM: Score-Weighted Visual Explanations for Convolutional Neural
    Networks (CVPR Workshops 2020).
    """

    def __call__(self, network: Network, images: tf.Tensor, target: Target) -> MethodOutput:
        activations, rest = network.run_features(images)
        logits = network.run_head(activations, rest)
        channels = self.select(activations)
        scores = self._scores(network, images, channels, target(logits))
        channels, _ = unit_scale(channels)
        return logits, tf.nn.relu(tf.einsum("bhwd,bd->bhw", channels, scores))

    def select(self, activations: tf.Tensor) -> tf.Tensor:
        """Return the channels to score, [B, h, w, d]: here all of the activations [B, h, w, D]."""
        return activations

    def _scores(
        self, network: Network, images: tf.Tensor, channels: tf.Tensor, score: Score
    ) -> tf.Tensor:
        """Return scores [B, d] of the images masked by each channel."""
        batch, height, width, count = channels.shape
        # [B * d, h, w]: one row per masked image, in the order of the result.
        masks = tf.reshape(tf.transpose(channels, [0, 3, 1, 2]), [-1, height, width])
        # All-zero channels do not contribute to the map, whatever their weight.
        live = tf.where(tf.reduce_any(masks != 0.0, axis=[1, 2]))
        parts = [tf.zeros([0])]
        for numbers in self.chunks(live.shape[0], "masked images"):
            rows = tf.gather(live[:, 0], numbers)
            enlarged = scaling.enlarge(tf.gather(masks, rows), images.shape[1:3])
            owners = rows // count
            masked = tf.gather(images, owners) * scaling.normalise(enlarged)[..., tf.newaxis]
            parts.append(score.probability(network.logits(masked), owners))
        scores = tf.scatter_nd(live, tf.concat(parts, axis=0), [batch * count])
        return tf.reshape(scores, [batch, count])
