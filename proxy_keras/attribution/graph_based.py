"""Graph-based visual saliency (GBVS)."""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf

from proxy_keras.attribution.image_saliency import ImageSaliency, downscale, symmetric_pad
from proxy_keras.attribution.method_options import GraphBasedOptions

_ANGLES = (0.0, 45.0, 90.0, 135.0)
_WAVELENGTH = 5.0
_REACH = 7
# As shares of the longer side of the grid; the paper gives a tenth to a fifth for the first.
_ACTIVATION_SIGMA = 0.15
_CONCENTRATION_SIGMA = 0.06
_BALANCING_ROUNDS = 8
# Smaller differences of features, in units of the image's range, are rounding errors.
_ROUNDING = 1e-3


class GraphBased(GraphBasedOptions, ImageSaliency):
    """Equilibrium of a random walk between the image's cells that prefers dissimilar ones.

    Features (intensity, colour opponents, Gabor energy at four angles and two scales) are averaged
    over the cells of a coarse grid. For each feature, a Markov chain moves between cells in
    proportion to their difference and to a Gaussian of their distance; its equilibrium is the
    activation. A second chain, which prefers high activation, concentrates it. The maps are
    averaged over each kind of feature, then over the kinds. Both chains are reversible, so their
    equilibrium has a closed form: the sum of the weights of a cell's edges. Unlike in the paper,
    distances are balanced so that the image's centre is not preferred. The map does not depend on
    the network or the class.

    Source: Harel, Koch and Perona, Graph-Based Visual Saliency (NeurIPS 2006), with the difference
    |M(i) - M(j)| that it mentions as an alternative to that of logarithms.
    """

    def saliency_maps(self, images: tf.Tensor) -> tf.Tensor:
        """Return saliency on the grid; see `ImageSaliency`."""
        colours = downscale(images, self.cells)
        energies = [
            downscale(_gabor_energy(level), self.cells)
            for level in (images[..., :1], downscale(images[..., :1], self.side // 2))
        ]
        # For small images, the energies can differ in size from the grid.
        size = tf.shape(colours)[1:3]
        angles = tf.concat([tf.image.resize(energy, size) for energy in energies], axis=-1)
        count = tf.shape(images)[0]
        features = tf.concat([colours, angles], axis=-1)
        features = tf.reshape(features, [count, size[0] * size[1], features.shape[-1]])
        near, close = (
            _nearness(size, sigma) for sigma in (_ACTIVATION_SIGMA, _CONCENTRATION_SIGMA)
        )
        kinds = _kinds(images.shape[-1], angles.shape[-1])

        def walk(cells: tf.Tensor) -> tf.Tensor:
            maps = equilibrium(tf.transpose(cells), near, close)
            return tf.linalg.matvec(maps, kinds, transpose_a=True)

        # One image at a time, because all pairs of cells are edges, for each feature.
        maps = tf.map_fn(walk, features, parallel_iterations=1)
        return tf.reshape(maps, [count, size[0], size[1]])


def equilibrium(features: tf.Tensor, near: tf.Tensor, close: tf.Tensor) -> tf.Tensor:
    """Return the equilibrium of the two chains for each feature.

    Args:
        features: [F, N] float32, in units of the image's range.
        near: [N, N], symmetric: weight of each pair of cells by distance, for the activation.
        close: [N, N], symmetric, for the concentration.

    Returns:
        [F, N] float32, >= 0, rows that sum to 1; zeros for constant features.
    """
    differences = tf.abs(features[:, :, tf.newaxis] - features[:, tf.newaxis, :])
    is_constant = tf.reduce_max(differences, axis=[1, 2]) < _ROUNDING
    activation = tf.reduce_sum(differences * near, axis=-1)
    activation = tf.where(is_constant[:, tf.newaxis], 0.0, activation)
    activation = tf.math.divide_no_nan(activation, tf.reduce_sum(activation, -1, keepdims=True))
    masses = activation * tf.matmul(activation, close)
    return tf.math.divide_no_nan(masses, tf.reduce_sum(masses, -1, keepdims=True))


def _nearness(size: tf.Tensor, sigma: float) -> tf.Tensor:
    """Return a Gaussian of the distance of each pair of cells, [N, N], with rows of sum 1."""
    rows, columns = tf.meshgrid(tf.range(size[0]), tf.range(size[1]), indexing="ij")
    places = tf.cast(tf.reshape(tf.stack([rows, columns], axis=-1), [-1, 2]), tf.float32)
    places /= tf.cast(tf.reduce_max(size), tf.float32)
    steps = places[:, tf.newaxis] - places[tf.newaxis]
    distances = tf.reduce_sum(tf.square(steps), axis=-1)
    weights = tf.exp(-distances / (2 * sigma**2))
    # Otherwise cells at the border are visited less, because they have fewer neighbours.
    for _ in range(_BALANCING_ROUNDS):
        sums = tf.sqrt(tf.reduce_sum(weights, axis=-1))
        weights /= sums[:, tf.newaxis] * sums
    return weights


def _kinds(colours: int, angles: int) -> tf.Tensor:
    """Return weights [F] of the features that give each kind the same total."""
    groups = [1, colours - 1, angles] if colours == 3 else [colours, angles]
    return tf.constant([1 / size for size in groups for _ in range(size)], tf.float32)


def _gabor_energy(intensity: tf.Tensor) -> tf.Tensor:
    """Return the magnitude [B, h, w, 4] of Gabor filters of four angles on [B, h, w, 1]."""
    kernels = tf.constant(_gabor_kernels())
    waves = tf.nn.conv2d(symmetric_pad(intensity, _REACH), kernels, strides=1, padding="VALID")
    even, odd = tf.split(waves, 2, axis=-1)
    return tf.sqrt(tf.square(even) + tf.square(odd))


def _gabor_kernels() -> np.ndarray:
    """Return [2 r + 1, 2 r + 1, 1, 8] float32: even, then odd waves at four angles, of sum 0."""
    rows, columns = np.mgrid[-_REACH : _REACH + 1, -_REACH : _REACH + 1]
    envelope = np.exp(-(rows**2 + columns**2) / (2 * (0.5 * _WAVELENGTH) ** 2))
    envelope /= envelope.sum()
    kernels = []
    for wave in (np.cos, np.sin):
        for angle in map(math.radians, _ANGLES):
            across = rows * math.cos(angle) + columns * math.sin(angle)
            carrier = wave(2 * math.pi * across / _WAVELENGTH)
            kernels.append(envelope * (carrier - (envelope * carrier).sum()))
    return np.stack(kernels, axis=-1)[:, :, np.newaxis].astype(np.float32)
