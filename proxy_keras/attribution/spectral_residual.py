"""Spectral residual saliency."""

from __future__ import annotations

import tensorflow as tf

from proxy_keras.attribution.image_saliency import ImageSaliency

# Frequencies far below the mean amplitude are rounding errors and are not amplified.
_FLOOR = 1e-3


class SpectralResidual(ImageSaliency):
    """The part of the image that the smooth part of its log amplitude spectrum does not explain.

    The log spectrum of natural images is smooth; its local average (3x3) is subtracted, the phase
    is kept, and the squared inverse transform locates the residual. Each channel (intensity and
    two colour opponents) is transformed separately and the maps are added, so that targets of
    another colour are salient; on grey images this is the paper's method. The map does not depend
    on the network or the class.

    Options: see `ImageSaliencyOptions`.

    Source: Hou and Zhang, Saliency Detection: A Spectral Residual Approach (CVPR 2007).
    """

    def saliency_maps(self, images: tf.Tensor) -> tf.Tensor:
        """Return saliency at the images' resolution; see `ImageSaliency`."""
        planes = tf.transpose(images, [0, 3, 1, 2])
        spectrum = tf.signal.fft2d(tf.cast(planes, tf.complex64))
        amplitude = tf.abs(spectrum)
        floor = _FLOOR * tf.reduce_mean(amplitude, axis=[1, 2, 3], keepdims=True)
        # exp(residual + i phase) = F / |F| * exp(log |F| - average) = F * exp(-average).
        average = _local_mean(_local_mean(tf.math.log(amplitude + floor + 1e-30), 2), 3)
        rest = tf.signal.ifft2d(spectrum * tf.cast(tf.exp(-average), tf.complex64))
        return tf.reduce_sum(tf.square(tf.abs(rest)), axis=1)


def _local_mean(values: tf.Tensor, axis: int) -> tf.Tensor:
    """Return the mean of three neighbours along one axis of a periodic spectrum."""
    return (values + tf.roll(values, 1, axis) + tf.roll(values, -1, axis)) / 3
