"""Masks of image regions, and weighted mixing."""

from __future__ import annotations

import tensorflow as tf


def rectangles(
    top: tf.Tensor, left: tf.Tensor, height: tf.Tensor, width: tf.Tensor, size: tuple
) -> tf.Tensor:
    """Return the mask of a rectangle in each image; it may extend beyond the image.

    Args:
        top, left: [B] first row and column, whole numbers.
        height, width: [B] rows and columns, whole numbers.
        size: (H, W) of the images.

    Returns:
        [B, H, W, 1] bool.
    """
    rows = _between(top, height, size[0])
    columns = _between(left, width, size[1])
    return (rows[:, :, tf.newaxis] & columns[:, tf.newaxis, :])[..., tf.newaxis]


def _between(start: tf.Tensor, length: tf.Tensor, end: tf.Tensor | int) -> tf.Tensor:
    pixels = tf.range(tf.cast(end, tf.float32))
    start = tf.cast(start, tf.float32)[:, tf.newaxis]
    return (pixels >= start) & (pixels < start + tf.cast(length, tf.float32)[:, tf.newaxis])


def shares(masks: tf.Tensor) -> tf.Tensor:
    """Return the share of each image that a mask [B, H, W, 1] covers: [B] float32 in [0, 1]."""
    return tf.reduce_mean(tf.cast(masks, tf.float32), axis=[1, 2, 3])


def mix(first: tf.Tensor, second: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
    """Return `weight * first + (1 - weight) * second`, with one weight [B] per image or label."""
    weight = tf.reshape(weight, [-1, *[1] * (len(first.shape) - 1)])
    return weight * first + (1.0 - weight) * second


def size_of(images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Return (B, H, W) as int32 scalars."""
    shape = tf.shape(images)
    return shape[0], shape[1], shape[2]
