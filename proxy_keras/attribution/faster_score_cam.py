"""Faster Score-CAM."""

from __future__ import annotations

import tensorflow as tf

from proxy_keras.attribution.method_options import FasterScoreCAMOptions
from proxy_keras.attribution.score_cam import ScoreCAM


class FasterScoreCAM(FasterScoreCAMOptions, ScoreCAM):
    """Score-CAM on the channels with the largest standard deviation over the image.

    Source: Li, Faster Score-CAM (github.com/tabayashi0117/Score-CAM, 2020).
    """

    def select(self, activations: tf.Tensor) -> tf.Tensor:
        """Return the `channels` channels [B, h, w, d] with the largest standard deviation."""
        spread = tf.math.reduce_std(activations, axis=[1, 2])
        count = min(self.channels, activations.shape[-1])
        index = tf.math.top_k(spread, k=count).indices
        by_channel = tf.transpose(activations, [0, 3, 1, 2])
        return tf.transpose(tf.gather(by_channel, index, batch_dims=1), [0, 2, 3, 1])
