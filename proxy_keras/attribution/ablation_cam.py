"""Ablation-CAM."""

from __future__ import annotations

import tensorflow as tf

from proxy_keras.attribution.channel_weights import ChannelWeightMethod
from proxy_keras.attribution.linear_head import LinearHead
from proxy_keras.attribution.target import Score


class AblationCAM(ChannelWeightMethod):
    """Channels weighted by how far the score drops without them.

    The paper divides each drop by the score itself. That is one factor per image, which scaling
    the map removes; but it turns the map over where the score is negative, and has no limit where
    it is near 0. So the weight here is the drop.

    Options: see `ChunkOptions`.

    Source: Desai and Ramaswamy, Ablation-CAM: Visual Explanations for Deep Convolutional Network
    via Gradient-free Localization (WACV 2020).
    """

    def perturb(self, activations: tf.Tensor, channels: tf.Tensor) -> tf.Tensor:
        """The activations without one of their channels; see `ChannelWeightMethod`."""
        kept = 1.0 - tf.one_hot(channels, activations.shape[-1])
        return activations * kept[:, tf.newaxis, tf.newaxis]

    def linear_logits(
        self, activations: tf.Tensor, logits: tf.Tensor, head: LinearHead
    ) -> tf.Tensor:
        """The logits less what each channel's mean adds; see `ChannelWeightMethod`."""
        means = tf.reduce_mean(activations, axis=[1, 2])
        return logits[:, tf.newaxis] - means[..., tf.newaxis] * head.kernel

    def channel_weights(
        self, score: Score, changed: tf.Tensor, logits: tf.Tensor, owners: tf.Tensor
    ) -> tf.Tensor:
        """The drop of the score, positive where the channel spoke for it."""
        return tf.gather(score(logits), owners) - score(changed, owners)
