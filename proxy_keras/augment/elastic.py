"""Elastic distortion: pixels displace by smooth random fields."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from proxy_keras.augment.batch_layer import Batch, BatchLayer
from proxy_keras.augment.masks import size_of
from proxy_keras.augment.option_rules import check_positive, check_share
from proxy_keras.augment.stateless_random import split_seed

_BEYOND = 4.0
"""Points of noise beyond each end of an image; those farther would weigh less than 0.0004."""


@keras.saving.register_keras_serializable("proxy_keras")
class RandomDistortion(BatchLayer):
    """A smooth random displacement of the pixels, another one for each image.

    Keras 3.15 has `RandomElasticTransform`, but it draws both directions from one seed, so that all
    pixels move along one diagonal; in `tf.data` all images of a batch get the same field.

    Args:
        scale: Standard deviation of the displacement as a share of the image's shorter side, in
            [0, 1]. 0: nothing is changed.
        smooth: Sigma of the Gaussian that smooths the field, as a share of that side, > 0.

    Raises:
        ValueError: An option breaks its rule.

    Source: Simard et al., Best Practices for Convolutional Neural Networks (2003), whose alpha 34
    and sigma 4 on 29 pixels are about the defaults.
    """

    keeps_labels = True

    def __init__(self, scale: float = 0.05, smooth: float = 0.14, **options: Any) -> None:
        check_share("scale", scale)
        check_positive("smooth", smooth)
        self.scale, self.smooth = scale, smooth
        super().__init__(**options)

    def augment(self, batch: Batch, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """See `BatchLayer`; labels stay."""
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
    """[B, H, W] float32: noise smoothed by a Gaussian, of mean 0 and variance 1 in every pixel.

    Pixels at a distance d are correlated by exp(-d^2 / (4 sigma^2)), within 0.0003 where sigma
    is a pixel or more.
    """
    rows, columns = _smoothing(shape[1], sigma), _smoothing(shape[2], sigma)
    points = [shape[0], tf.shape(rows)[1], tf.shape(columns)[1]]
    noise = tf.random.stateless_normal(points, seed=seed)
    return tf.einsum("ij,bjk,lk->bil", rows, noise, columns)


def _smoothing(length: tf.Tensor, sigma: tf.Tensor) -> tf.Tensor:
    """[length, points] float32: Gaussian weights of the points at which noise is drawn.

    The points are sigma apart, which is enough for a Gaussian, and go on beyond both ends. The
    squares of a row sum to 1, which keeps the variance.
    """
    places = tf.range(tf.cast(length, tf.float32))
    apart = tf.maximum(sigma, 1.0)
    count = tf.math.ceil(places[-1] / apart)
    points = apart * tf.range(-_BEYOND, count + _BEYOND + 1.0)
    weights = tf.exp(-tf.square((places[:, tf.newaxis] - points) / sigma) / 2.0)
    return weights / tf.norm(weights, axis=1, keepdims=True)


def displace(images: tf.Tensor, down: tf.Tensor, right: tf.Tensor) -> tf.Tensor:
    """Images read at displace places, bilinearly; beyond the border the outermost pixels count.

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
    below, beside = tf.minimum(top + 1, height - 1), tf.minimum(left + 1, width - 1)
    pixels = tf.reshape(images, [-1, images.shape[-1]])
    first = tf.range(count)[:, tf.newaxis, tf.newaxis] * height

    def row(at: tf.Tensor) -> tf.Tensor:
        start = ((first + at) * width)[..., tf.newaxis]
        # Faster than `gather` with slices as short as a pixel.
        near, far = (tf.gather_nd(pixels, start + x[..., tf.newaxis]) for x in (left, beside))
        return near + share_x * (far - near)

    upper = row(top)
    return upper + share_y * (row(below) - upper)
