"""The energy loss: the share of the heat outside the object.

Source: Rao, Böhle, Parchami-Araghi & Schiele, Studying How to Efficiently and Effectively Guide
    Models with Explanations (2023); the share inside is the energy-based pointing game of Wang et
    al., Score-CAM (2020).
"""

from __future__ import annotations

import tensorflow as tf


def positive_attributions(maps: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    """Return the positive part of activations times gradients: [B, h, w] float32.

    Args:
        maps: [B, h, w, C], activations of a layer.
        gradients: [B, h, w, C], of the score of the true class with respect to them.
    """
    products = tf.cast(maps, tf.float32) * tf.cast(gradients, tf.float32)
    return tf.nn.relu(tf.reduce_sum(products, axis=-1))


def energy_loss(heatmaps: tf.Tensor, objects: tf.Tensor) -> tf.Tensor:
    """Return the mean share of heat outside the object.

    Args:
        heatmaps: [B, h, w] float32, >= 0.
        objects: [B, h, w] float32 in [0, 1], the share of each cell that is on the object; zeros
            where the object is not known.

    Returns:
        A float32 scalar in [0, 1]: the mean over the images with a known object and some heat; 0
        without any.
    """
    total = tf.reduce_sum(heatmaps, axis=[1, 2])
    inside = tf.reduce_sum(heatmaps * objects, axis=[1, 2])
    counts = tf.cast(tf.reduce_any(objects > 0.0, axis=[1, 2]) & (total > 0.0), tf.float32)
    outside = 1.0 - tf.math.divide_no_nan(inside, total)
    return tf.math.divide_no_nan(tf.reduce_sum(counts * outside), tf.reduce_sum(counts))
