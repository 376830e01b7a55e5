"""Ablation-CAM."""

from __future__ import annotations

import tensorflow as tf

from proxy_keras.attribution.channel_weights import ChannelWeightMethod
from proxy_keras.attribution.linear_head import LinearHead
from proxy_keras.attribution.target import Score


class AblationCAM(ChannelWeightMethod):
    """Channels weighted by the drop of the score without them.

    The paper divides each drop by the score, a factor per image that scaling the map removes.
    But it inverts the map where the score is negative and diverges near 0, so the weight here is
    the drop itself.

    Options: see `ChunkOptions`.

    Source: Desai and Ramaswamy, Ablation-CAM: Visual Explanations for Deep Convolutional Network
    via Gradient-free Localization (WACV 2020).
    """

    def perturb(self, activations: tf.Tensor, channels: tf.Tensor) -> tf.Tensor:
        """Return the activations without one channel; see `ChannelWeightMethod`."""
        kept = 1.0 - tf.one_hot(channels, activations.shape[-1])
        return activations * kept[:, tf.newaxis, tf.newaxis]

    def linear_logits(
        self, activations: tf.Tensor, logits: tf.Tensor, head: LinearHead
    ) -> tf.Tensor:
        """Return the logits less each channel's contribution; see `ChannelWeightMethod`."""
        means = tf.reduce_mean(activations, axis=[1, 2])
        return logits[:, tf.newaxis] - means[..., tf.newaxis] * head.kernel

    def channel_weights(
        self, score: Score, changed: tf.Tensor, logits: tf.Tensor, owners: tf.Tensor
    ) -> tf.Tensor:
        """Return the drop of the score; see `ChannelWeightMethod`."""
        return tf.gather(score(logits), owners) - score(changed, owners)
