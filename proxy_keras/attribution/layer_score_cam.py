"""Layer-Score-CAM."""

from __future__ import annotations

import tensorflow as tf

from proxy_keras.attribution.channel_weights import ChannelWeightMethod
from proxy_keras.attribution.linear_head import LinearHead
from proxy_keras.attribution.target import Score
from proxy_keras.heatmaps import scaling


class LayerScoreCAM(ChannelWeightMethod):
    """Score-CAM that masks the target layer instead of the image.

    Each channel, scaled to [0, 1], masks the activations of all channels; its weight is the
    softmax probability of the explained class given the masked activations. All channels together
    cost about one forward pass, while Score-CAM needs one each.

    Options: see `ChunkOptions`.

    Source: this project, after Wang et al., Score-CAM (CVPR Workshops 2020).
    """

    def perturb(self, activations: tf.Tensor, channels: tf.Tensor) -> tf.Tensor:
        """Return the activations masked by one channel; see `ChannelWeightMethod`."""
        masks = scaling.normalise(tf.gather(activations, channels, axis=-1, batch_dims=1))
        return activations * masks[..., tf.newaxis]

    def linear_logits(
        self, activations: tf.Tensor, logits: tf.Tensor, head: LinearHead
    ) -> tf.Tensor:
        """Return the logits of the masked means of all cells; see `ChannelWeightMethod`."""
        height, width, channels = activations.shape[1:]
        cells = tf.reshape(activations, [-1, height * width, channels])
        masks = scaling.normalise(cells[:, :, tf.newaxis])[:, :, 0]
        of_cells = tf.matmul(cells / (height * width), head.kernel)
        return tf.matmul(masks, of_cells, transpose_a=True) + head.bias

    def channel_weights(
        self, score: Score, changed: tf.Tensor, logits: tf.Tensor, owners: tf.Tensor
    ) -> tf.Tensor:
        """Return the remaining probability; see `ChannelWeightMethod`."""
        return score.probability(changed, owners)
