"""Faster Score-CAM."""

from __future__ import annotations

import tensorflow as tf

from proxy_keras.attribution.method_options import FasterScoreCAMOptions
from proxy_keras.attribution.score_cam import ScoreCAM


class FasterScoreCAM(FasterScoreCAMOptions, ScoreCAM):
    """Score-CAM on the channels that vary most over the image.

    The channels are chosen per image, by standard deviation.

    Options: see `FasterScoreCAMOptions`.

    Source: Li, Faster Score-CAM (github.com/tabayashi0117/Score-CAM, 2020).
    """

    def select(self, activations: tf.Tensor) -> tf.Tensor:
        """The `channels` most varied of activations [B, h, w, D], [B, h, w, d]."""
        spread = tf.math.reduce_std(activations, axis=[1, 2])
        count = min(self.channels, activations.shape[-1])
        index = tf.math.top_k(spread, k=count).indices
        by_channel = tf.transpose(activations, [0, 3, 1, 2])
        return tf.transpose(tf.gather(by_channel, index, batch_dims=1), [0, 2, 3, 1])
