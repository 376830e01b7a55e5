"""Saliency without a network: how much each pixel differs from its surroundings."""

from __future__ import annotations

import tensorflow as tf

from proxy_keras.heatmaps.scaling import normalise

SURROUNDS = (12, 24, 28, 48, 56, 112)
"""Half sides in pixels of the square surroundings in the paper."""


def centre_surround(images: tf.Tensor) -> tf.Tensor:
    """Compute fine-grained saliency maps.

    The saliency is the absolute difference between a pixel's intensity and the mean of the other
    pixels in the surrounding square, summed over all sizes of the square (the paper's on-centre and
    off-centre differences together). Squares are clipped at the image's border.

    Args:
        images: [B, H, W, 3] float32.

    Returns:
        [B, H, W] float32 in [0, 1]; zeros for a constant image.

    Source: Montabone and Soto, Human detection using a mobile platform and novel features derived
        from a visual saliency mechanism (2010); SaliencyMix uses OpenCV's implementation.
    """
    intensity = tf.reduce_mean(images, axis=-1)
    # Makes a constant image exactly 0, so that rounding errors do not look like differences.
    intensity -= intensity[:, :1, :1]
    shape = tf.shape(intensity)
    sums = tf.pad(tf.cumsum(tf.cumsum(intensity, 1), 2), [[0, 0], [1, 0], [1, 0]])
    total = tf.zeros_like(intensity)
    for reach in SURROUNDS:
        y0, y1 = _edges(shape[1], reach)
        x0, x1 = _edges(shape[2], reach)
        upper, lower = tf.gather(sums, y0, axis=1), tf.gather(sums, y1, axis=1)
        inside = lower - upper
        inside = tf.gather(inside, x1, axis=2) - tf.gather(inside, x0, axis=2)
        others = (y1 - y0)[:, tf.newaxis] * (x1 - x0)[tf.newaxis] - 1
        around = tf.math.divide_no_nan(inside - intensity, tf.cast(others, tf.float32))
        total += tf.abs(intensity - around)
    return normalise(total)


def _edges(length: tf.Tensor, reach: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Return start (inclusive) and end (exclusive) of the surroundings of each pixel: [length]."""
    pixels = tf.range(length)
    return tf.maximum(pixels - reach, 0), tf.minimum(pixels + reach + 1, length)
