"""Adaptive whitening saliency (AWS)."""

from __future__ import annotations

import math

import tensorflow as tf

from proxy_keras.attribution.image_saliency import ImageSaliency, symmetric_pad
from proxy_keras.attribution.method_options import WhiteningOptions

# Ratio of each log-Gabor wavelength to the previous one, and the matching bandwidth.
_RATIO = 1.7
_BANDWIDTH = 0.55
_SHORTEST_WAVELENGTH = 4.0
_ORIENTATIONS = 4
_MARGIN = 12
# Smaller variances, as a share of the largest, are rounding errors and are not amplified.
_RIDGE = 1e-4


class Whitening(WhiteningOptions, ImageSaliency):
    """Statistical distance of each pixel from the rest of its image.

    Colours are whitened: rotated to their principal components and scaled to the same variance.
    Log-Gabor filters give each component's local energy at several scales and four orientations;
    the scales of each orientation are whitened too, so that the squared norm of the result is
    Hotelling's T^2 of that pixel. The maps of all components and orientations, which have the same
    mean, are added. The map does not depend on the network or the class.

    Source: Garcia-Diaz et al., Saliency from Hierarchical Adaptation through Decorrelation and
    Variance Normalization (Image and Vision Computing 2012).
    """

    def saliency_maps(self, images: tf.Tensor) -> tf.Tensor:
        """Return saliency at the images' resolution; see `ImageSaliency`."""
        size = tf.shape(images)[1:3]
        filters = log_gabor_filters(size + 2 * _MARGIN, self.scales)

        def distances(image: tf.Tensor) -> tf.Tensor:
            colours = whiten(tf.reshape(image, [-1, image.shape[-1]]))
            planes = symmetric_pad(tf.reshape(colours, tf.shape(image))[tf.newaxis], _MARGIN)[0]
            spectra = tf.signal.fft2d(tf.cast(tf.transpose(planes, [2, 0, 1]), tf.complex64))
            waves = tf.signal.ifft2d(spectra[:, tf.newaxis, tf.newaxis] * filters)
            energy = tf.abs(waves)[..., _MARGIN:-_MARGIN, _MARGIN:-_MARGIN]
            # [C, O, places, S]
            energy = tf.transpose(energy, [0, 1, 3, 4, 2])
            energy = tf.reshape(energy, [image.shape[-1], _ORIENTATIONS, -1, self.scales])
            squares = tf.square(whiten(energy))
            return tf.reshape(tf.reduce_sum(squares, axis=[0, 1, 3]), size)

        # One image at a time, because all its filtered versions are in memory together.
        return tf.map_fn(distances, images, parallel_iterations=1)


def whiten(samples: tf.Tensor) -> tf.Tensor:
    """Return samples along their principal components, with mean 0 and variance 1.

    Args:
        samples: [..., N, D] float32.

    Returns:
        [..., N, D] float32; zeros for components without variance.
    """
    centred = samples - tf.reduce_mean(samples, axis=-2, keepdims=True)
    count = tf.cast(tf.shape(samples)[-2], tf.float32)
    covariance = tf.matmul(centred, centred, transpose_a=True) / count
    variances, axes = tf.linalg.eigh(covariance)
    ridge = _RIDGE * tf.reduce_max(tf.abs(variances), axis=-1, keepdims=True)
    deviations = tf.sqrt(tf.nn.relu(variances) + ridge)
    return tf.math.divide_no_nan(tf.matmul(centred, axes), deviations[..., tf.newaxis, :])


def log_gabor_filters(size: tf.Tensor, scales: int) -> tf.Tensor:
    """Return spectra [4, S, h, w] complex64 of filters whose magnitude is local energy.

    Args:
        size: [2] int32, h and w.
        scales: S.
    """
    rows, columns = (_frequencies(size[0]), _frequencies(size[1]))
    rows = rows[:, tf.newaxis] + 0 * columns
    columns = columns + 0 * rows
    radius = tf.sqrt(tf.square(rows) + tf.square(columns))
    angle = tf.atan2(rows, columns)
    filters = []
    for orientation in range(_ORIENTATIONS):
        turn = angle - orientation * math.pi / _ORIENTATIONS
        # Only half of the plane, so that the inverse transform is an analytic signal.
        turn = tf.atan2(tf.sin(turn), tf.cos(turn))
        spread = tf.exp(-tf.square(turn) / (2 * (0.75 * math.pi / _ORIENTATIONS) ** 2))
        for scale in range(scales):
            octaves = tf.math.log(radius * (_SHORTEST_WAVELENGTH * _RATIO**scale) + 1e-12)
            band = tf.exp(-tf.square(octaves) / (2 * math.log(_BANDWIDTH) ** 2))
            filters.append(spread * band)
    shape = [_ORIENTATIONS, scales, size[0], size[1]]
    return tf.cast(tf.reshape(tf.stack(filters), shape), tf.complex64)


def _frequencies(length: tf.Tensor) -> tf.Tensor:
    """Return cycles per pixel of each bin of a Fourier transform of that length, [n] float32."""
    bins = tf.range(length)
    half = (length + 1) // 2
    return tf.cast(tf.where(bins < half, bins, bins - length) / length, tf.float32)
