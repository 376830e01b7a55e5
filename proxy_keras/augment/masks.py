"""Masks of image regions, and weighted mixing."""

from __future__ import annotations

import tensorflow as tf


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


def paste(
    images: tf.Tensor,
    labels: tf.Tensor,
    others: tf.Tensor,
    their_labels: tf.Tensor,
    mask: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Paste the others' pixels where the mask [B, H, W] is true, and mix labels by area."""
    share = tf.reduce_mean(tf.cast(mask, tf.float32), axis=[1, 2])[:, tf.newaxis]
    made = tf.where(mask[..., tf.newaxis], others, images)
    return made, labels * (1.0 - share) + their_labels * share
