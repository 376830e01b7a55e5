"""Spectral residual saliency."""

from __future__ import annotations

import tensorflow as tf

from proxy_keras.attribution.image_saliency import ImageSaliency

# Frequencies far below the mean amplitude are rounding, and are not lifted to it.
_FLOOR = 1e-3


class SpectralResidual(ImageSaliency):
    """What in the image is not explained by the smooth part of its log amplitude spectrum.

    The log spectrum of natural images is smooth; its local average (3x3) is taken away, the phase
    is kept, and the squared inverse transform shows where the rest comes from. Each channel
    (intensity and two colour opponents) is transformed by itself, and their maps are added, so that
    a target of another colour counts; on grey images this is the paper's method. Network and class
    make no difference.

    Options: see `ImageSaliencyOptions`.

    Source: Hou and Zhang, Saliency Detection: A Spectral Residual Approach (CVPR 2007).
    """

    def saliency_maps(self, images: tf.Tensor) -> tf.Tensor:
        """Saliency at the images' resolution; see `ImageSaliency`."""
        planes = tf.transpose(images, [0, 3, 1, 2])
        spectrum = tf.signal.fft2d(tf.cast(planes, tf.complex64))
        amplitude = tf.abs(spectrum)
        floor = _FLOOR * tf.reduce_mean(amplitude, axis=[1, 2, 3], keepdims=True)
        # exp(residual + i phase) = F / |F| * exp(log |F| - average) = F * exp(-average).
        average = _local_mean(_local_mean(tf.math.log(amplitude + floor + 1e-30), 2), 3)
        rest = tf.signal.ifft2d(spectrum * tf.cast(tf.exp(-average), tf.complex64))
        return tf.reduce_sum(tf.square(tf.abs(rest)), axis=1)


def _local_mean(values: tf.Tensor, axis: int) -> tf.Tensor:
    """The mean of three neighbours along one axis of a spectrum, which is periodic."""
    return (values + tf.roll(values, 1, axis) + tf.roll(values, -1, axis)) / 3
