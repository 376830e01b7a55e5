"""Dynamic visual attention by incremental coding length."""

from __future__ import annotations

import tensorflow as tf

from proxy_keras.attribution.image_saliency import ImageSaliency, symmetric_pad
from proxy_keras.attribution.method_options import DynamicOptions
from proxy_keras.attribution.natural_image_filters import PATCH, natural_image_filters

# Filters with a smaller share of all responses respond to rounding only.
_MIN_SHARE = 1e-6


class Dynamic(DynamicOptions, ImageSaliency):
    """Responses of the filters that are rare in this image, and so carry most information.

    Sparse filters learned from natural patches by independent component analysis run over every
    channel (intensity and two colour opponents). The share p of each filter in all responses gives
    its incremental coding length, the derivative of the entropy by p. Filters with a positive
    length get energy in proportion to it, and saliency is the sum of responses weighted by energy.
    The map does not depend on the network or the class.

    The filters are fixed, not learned from the image, so that rare structures match some of them,
    and the map of an image does not depend on the other images of the batch.

    Source: Hou and Zhang, Dynamic Visual Attention: Searching for Coding Length Increments
    (NeurIPS 2008).
    """

    def saliency_maps(self, images: tf.Tensor) -> tf.Tensor:
        """Return saliency at the images' resolution; see `ImageSaliency`."""
        filters = tf.constant(natural_image_filters())
        # An even patch needs one row and column of padding less.
        padded = symmetric_pad(images, PATCH // 2)[:, :-1, :-1]
        responses = [
            tf.abs(tf.nn.conv2d(padded[..., i : i + 1], filters, strides=1, padding="VALID"))
            for i in range(images.shape[-1])
        ]
        activity = tf.concat(responses, axis=-1)
        shares = tf.reduce_sum(activity, axis=[1, 2])
        shares = tf.math.divide_no_nan(shares, tf.reduce_sum(shares, axis=-1, keepdims=True))
        return tf.einsum("bhwf,bf->bhw", activity, energies(shares))


def energies(shares: tf.Tensor) -> tf.Tensor:
    """Return the energy of each filter from its share of all responses.

    Args:
        shares: [B, F] float32, >= 0, rows that sum to 1 or are zeros.

    Returns:
        [B, F] float32 in [0, 1]: positive parts of incremental coding lengths, divided by their
        sum; zeros for filters that do not respond. The length -log p - H is the exact derivative of
        the entropy H by p when all shares are rescaled to sum to 1.
    """
    responds = shares > _MIN_SHARE
    logs = tf.math.log(tf.where(responds, shares, 1.0))
    entropy = -tf.reduce_sum(shares * logs, axis=-1, keepdims=True)
    lengths = tf.nn.relu(tf.where(responds, -logs - entropy, 0.0))
    return tf.math.divide_no_nan(lengths, tf.reduce_sum(lengths, axis=-1, keepdims=True))
