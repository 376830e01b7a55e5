"""Channel weights from the head's logits when each channel of the target layer is perturbed."""

from __future__ import annotations

from abc import abstractmethod

import tensorflow as tf

from proxy_keras.attribution.linear_head import LinearHead, find_linear_head
from proxy_keras.attribution.method import ChunkedMethod, MethodOutput, weighted_channels
from proxy_keras.attribution.split_network import Network
from proxy_keras.attribution.target import Score, Target


class ChannelWeightMethod(ChunkedMethod):
    """A method that perturbs the activations once per channel and scores the head's logits.

    The features are computed once; only the head, which is short, runs D times. For global average
    pooling and a dense layer, its logits have a closed form. Options: see `ChunkOptions`.
    """

    @abstractmethod
    def perturb(self, activations: tf.Tensor, channels: tf.Tensor) -> tf.Tensor:
        """Return the activations perturbed for one channel per row, [n, h, w, D].

        Args:
            activations: [n, h, w, D] float32.
            channels: [n] int32, the channel of each row.
        """

    @abstractmethod
    def linear_logits(
        self, activations: tf.Tensor, logits: tf.Tensor, head: LinearHead
    ) -> tf.Tensor:
        """Return the logits [n, D, K] of a linear head after each channel's perturbation.

        Args:
            activations: [n, h, w, D] float32.
            logits: [n, K] float32, without perturbation.
            head: The head.
        """

    @abstractmethod
    def channel_weights(
        self, score: Score, changed: tf.Tensor, logits: tf.Tensor, owners: tf.Tensor
    ) -> tf.Tensor:
        """Return the channels' weights [n].

        Args:
            score: The score to explain.
            changed: [n, K] float32, the logits after the perturbation.
            logits: [B, K] float32, without perturbation.
            owners: [n] int32, the image of each row.
        """

    def __call__(self, network: Network, images: tf.Tensor, target: Target) -> MethodOutput:
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
        # Limits the images per step so that [n, D, K] logits fit in the memory of a chunk.
        step = max(1, self.chunk_size * height * width // logits.shape[1])
        parts = []
        for start in range(0, batch, step):
            part = slice(start, start + step)
            answers = self.linear_logits(activations[part], logits[part], head)
            answers = tf.reshape(answers, [-1, logits.shape[1]])
            owners = start + tf.range(answers.shape[0]) // channels
            parts.append(self.channel_weights(score, answers, logits, owners))
        return tf.reshape(tf.concat(parts, axis=0), [batch, channels])
