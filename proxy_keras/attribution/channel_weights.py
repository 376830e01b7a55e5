"""Weighs the channels of the target layer by what the head answers when each is changed."""

from __future__ import annotations

from abc import abstractmethod

import tensorflow as tf

from proxy_keras.attribution.linear_head import LinearHead, find_linear_head
from proxy_keras.attribution.method import ChunkedMethod, MethodOutput, weighted_channels
from proxy_keras.attribution.split_network import Network
from proxy_keras.attribution.target import Score, Target


class ChannelWeightMethod(ChunkedMethod):
    """A method that changes the activations once per channel, and sees what the head makes of it.

    The image goes through the network once; only the head, which is short, answers D times. Where
    it is global average pooling and a dense layer, its answers are known in closed form.
    """

    @abstractmethod
    def perturb(self, activations: tf.Tensor, channels: tf.Tensor) -> tf.Tensor:
        """The activations after the change that belongs to a channel, [n, h, w, D].

        Args:
            activations: [n, h, w, D] float32.
            channels: [n] int32, the channel in each row.
        """

    @abstractmethod
    def linear_logits(
        self, activations: tf.Tensor, logits: tf.Tensor, head: LinearHead
    ) -> tf.Tensor:
        """The logits [n, D, K] after each channel's change, by a linear head.

        Args:
            activations: [n, h, w, D] float32.
            logits: [n, K] float32, before any change.
            head: The head.
        """

    @abstractmethod
    def channel_weights(
        self, score: Score, changed: tf.Tensor, logits: tf.Tensor, owners: tf.Tensor
    ) -> tf.Tensor:
        """The channels' weights [n].

        Args:
            score: What is explained.
            changed: [n, K] float32, the logits after the change.
            logits: [B, K] float32, before it.
            owners: [n] int32, the image of each row.
        """

    def __call__(self, network: Network, images: tf.Tensor, target: Target) -> MethodOutput:
        """Logits and raw heatmaps; see `Method`."""
        activations, rest = network.run_features(images)
        logits = network.run_head(activations, rest)
        score = target(logits)
        head = find_linear_head(network.flat, network.target_tensor)
        if head is None:
            weights = self._by_passes(network, activations, rest, logits, score)
        else:
            weights = self._in_closed_form(head, activations, logits, score)
        return logits, weighted_channels(activations, weights[:, tf.newaxis, tf.newaxis])

    def _by_passes(
        self,
        network: Network,
        activations: tf.Tensor,
        rest: list[tf.Tensor],
        logits: tf.Tensor,
        score: Score,
    ) -> tf.Tensor:
        batch, channels = activations.shape[0], activations.shape[-1]
        parts = []
        for rows in self.chunks(batch * channels, "channels"):
            owners = rows // channels
            changed = self.perturb(tf.gather(activations, owners), rows % channels)
            answers = network.run_head(changed, [tf.gather(tensor, owners) for tensor in rest])
            parts.append(self.channel_weights(score, answers, logits, owners))
        return tf.reshape(tf.concat(parts, axis=0), [batch, channels])

    def _in_closed_form(
        self, head: LinearHead, activations: tf.Tensor, logits: tf.Tensor, score: Score
    ) -> tf.Tensor:
        batch, height, width, channels = activations.shape
        # As many images at a time as keep [n, D, K] logits within a chunk of [h, w, D].
        step = max(1, self.chunk_size * height * width // logits.shape[1])
        parts = []
        for start in range(0, batch, step):
            part = slice(start, start + step)
            answers = self.linear_logits(activations[part], logits[part], head)
            answers = tf.reshape(answers, [-1, logits.shape[1]])
            owners = start + tf.range(answers.shape[0]) // channels
            parts.append(self.channel_weights(score, answers, logits, owners))
        return tf.reshape(tf.concat(parts, axis=0), [batch, channels])
