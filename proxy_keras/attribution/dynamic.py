"""Dynamic visual attention by incremental coding length."""

from __future__ import annotations

import tensorflow as tf

from proxy_keras.attribution.image_saliency import ImageSaliency, symmetric_pad
from proxy_keras.attribution.method_options import DynamicOptions
from proxy_keras.attribution.natural_image_filters import PATCH, natural_image_filters

# Filters that answer less, as a share of all answers, see nothing but rounding.
_FAINT = 1e-6


class Dynamic(DynamicOptions, ImageSaliency):
    """Where the filters answer that are rare in this image, and so carry most information.

    Sparse filters learned from natural patches by independent component analysis run over every
    channel (intensity and two colour opponents). The share p of each filter in all answers gives
    its incremental coding length, the derivative of the entropy to p; filters for which it is
    positive get energy in proportion, and a place is as salient as its answers weighted by that
    energy. Network and class make no difference.

    A fixed basis, and not one learned from the image itself, makes a target's rare structure stand
    out against filters that know it, and gives each image the same map whatever is beside it.

    Options: see `DynamicOptions`.

    Source: Hou and Zhang, Dynamic Visual Attention: Searching for Coding Length Increments
    (NeurIPS 2008).
    """

    def saliency_maps(self, images: tf.Tensor) -> tf.Tensor:
        """Saliency at the images' resolution; see `ImageSaliency`."""
        filters = tf.constant(natural_image_filters())
        # Odd on both sides, less the row and column that an even patch leaves over.
        padded = symmetric_pad(images, PATCH // 2)[:, :-1, :-1]
        answers = [
            tf.abs(tf.nn.conv2d(padded[..., i : i + 1], filters, strides=1, padding="VALID"))
            for i in range(images.shape[-1])
        ]
        activity = tf.concat(answers, axis=-1)
        shares = tf.reduce_sum(activity, axis=[1, 2])
        shares = tf.math.divide_no_nan(shares, tf.reduce_sum(shares, axis=-1, keepdims=True))
        return tf.einsum("bhwf,bf->bhw", activity, energies(shares))


def energies(shares: tf.Tensor) -> tf.Tensor:
    """The energy of each filter, from its share in all answers.

    Args:
        shares: [B, F] float32, >= 0, rows that sum to 1 or are zeros.

    Returns:
        [B, F] float32 in [0, 1]: incremental coding lengths, as far as they are positive, over
        their sum; zeros for filters that do not answer. The length -log p - H is the exact
        derivative of the entropy H as p gains a little and all shares are scaled to sum to 1.
    """
    is_heard = shares > _FAINT
    logs = tf.math.log(tf.where(is_heard, shares, 1.0))
    entropy = -tf.reduce_sum(shares * logs, axis=-1, keepdims=True)
    lengths = tf.nn.relu(tf.where(is_heard, -logs - entropy, 0.0))
    return tf.math.divide_no_nan(lengths, tf.reduce_sum(lengths, axis=-1, keepdims=True))
