"""Elastic distortion: pixels displaced by smooth random fields."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from proxy_keras.augment.batch_layer import Batch, BatchLayer
from proxy_keras.augment.masks import size_of
from proxy_keras.augment.option_rules import check_positive, check_share
from proxy_keras.augment.stateless_random import split_seed

_MARGIN = 4.0
"""Noise points beyond each end of an image; weights of farther points are below 0.0004."""


@keras.saving.register_keras_serializable("proxy_keras")
class RandomDistortion(BatchLayer):
    """A smooth random displacement of the pixels, different for each image.

    Keras 3.15's `RandomElasticTransform` draws both directions from one seed, so that all pixels
    move along one diagonal; in `tf.data` all images of a batch get the same field.

    Args:
        scale: Standard deviation of the displacement as a share of the image's shorter side, in
            [0, 1]. At 0 nothing changes.
        smooth: Sigma of the Gaussian that smooths the field, as a share of that side, > 0.

    Raises:
        ValueError: An option has an invalid value.

    Source: Simard et al., Best Practices for Convolutional Neural Networks (2003); the defaults are
    close to its alpha 34 and sigma 4 on 29 pixels.
    """

    keeps_labels = True

    def __init__(self, scale: float = 0.05, smooth: float = 0.14, **options: Any) -> None:
        check_share("scale", scale)
        check_positive("smooth", smooth)
        self.scale, self.smooth = scale, smooth
        super().__init__(**options)

    def augment(self, batch: Batch, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images, labels, _ = batch
        if self.scale == 0.0:
            return images, labels
        count, height, width = size_of(images)
        shorter = tf.cast(tf.minimum(height, width), tf.float32)
        down, right = (
            self.scale
            * shorter
            * smooth_field(tf.stack([count, height, width]), self.smooth * shorter, s)
            for s in split_seed(seed, 2)
        )
        return displace(images, down, right), labels


def smooth_field(shape: tf.Tensor, sigma: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Draw Gaussian-smoothed noise with mean 0 and variance 1 at every pixel: [B, H, W] float32.

    The correlation of pixels at distance d is exp(-d^2 / (4 sigma^2)), to within 0.0003 if sigma is
    at least a pixel.
    """
    rows, columns = _smoothing(shape[1], sigma), _smoothing(shape[2], sigma)
    points = [shape[0], tf.shape(rows)[1], tf.shape(columns)[1]]
    noise = tf.random.stateless_normal(points, seed=seed)
    return tf.einsum("ij,bjk,lk->bil", rows, noise, columns)


def _smoothing(length: tf.Tensor, sigma: tf.Tensor) -> tf.Tensor:
    """Return Gaussian weights of the points where noise is drawn: [length, points] float32.

    The points are sigma apart, which is enough for a Gaussian, and extend beyond both ends. The
    squares of a row sum to 1, which preserves the variance.
    """
    pixels = tf.range(tf.cast(length, tf.float32))
    spacing = tf.maximum(sigma, 1.0)
    count = tf.math.ceil(pixels[-1] / spacing)
    points = spacing * tf.range(-_MARGIN, count + _MARGIN + 1.0)
    weights = tf.exp(-tf.square((pixels[:, tf.newaxis] - points) / sigma) / 2.0)
    return weights / tf.norm(weights, axis=1, keepdims=True)


def displace(images: tf.Tensor, down: tf.Tensor, right: tf.Tensor) -> tf.Tensor:
    """Sample images bilinearly at displaced positions; beyond the border, edge pixels repeat.

    Args:
        images: [B, H, W, C] float32.
        down, right: [B, H, W] float32, in pixels: pixel (y, x) reads (y + down, x + right).

    Returns:
        [B, H, W, C] float32.
    """
    count, height, width = size_of(images)
    y = tf.cast(tf.range(height)[:, tf.newaxis], tf.float32) + down
    x = tf.cast(tf.range(width), tf.float32) + right
    y = tf.clip_by_value(y, 0.0, tf.cast(height - 1, tf.float32))
    x = tf.clip_by_value(x, 0.0, tf.cast(width - 1, tf.float32))
    top, left = tf.cast(y, tf.int32), tf.cast(x, tf.int32)
    share_y = (y - tf.cast(top, tf.float32))[..., tf.newaxis]
    share_x = (x - tf.cast(left, tf.float32))[..., tf.newaxis]
    below, after = tf.minimum(top + 1, height - 1), tf.minimum(left + 1, width - 1)
    pixels = tf.reshape(images, [-1, images.shape[-1]])
    first = tf.range(count)[:, tf.newaxis, tf.newaxis] * height

    def row(at: tf.Tensor) -> tf.Tensor:
        start = ((first + at) * width)[..., tf.newaxis]
        # Faster than `gather` for slices of one pixel.
        near, far = (tf.gather_nd(pixels, start + x[..., tf.newaxis]) for x in (left, after))
        return near + share_x * (far - near)

    upper = row(top)
    return upper + share_y * (row(below) - upper)
