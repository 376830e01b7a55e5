"""Baseline images, which represent the absence of features."""

from __future__ import annotations

import tensorflow as tf

from proxy_keras.attribution.method import Method
from proxy_keras.attribution.method_options import BaselineOptions
from proxy_keras.attribution.stateless_random import uniform

# Standard deviation of the blur, as a share of each side: it removes shapes but keeps colours.
_BLUR = 1 / 8


class Baseline:
    """A baseline image for each image of a batch.

    Args:
        name: "black" or "white": the lowest or highest value; "mean": the image's own mean
            colour; "blur": the blurred image; "uniform": uniform noise, the same for all images.
        value_range: (lowest, highest) value of the images that the model takes.
        seed: Seed of the noise.

    Raises:
        ValueError: There is no such baseline, or the range is empty.

    Source: Sturmfels, Lundberg and Lee, Visualizing the Impact of Feature Attribution Baselines
    (Distill 2020).
    """

    def __init__(self, name: str, value_range: tuple[float, float], seed: int) -> None:
        BaselineOptions(baseline=name, value_range=value_range, seed=seed)
        self.name = name
        self.value_range = (float(value_range[0]), float(value_range[1]))
        self.seed = seed

    def __call__(self, images: tf.Tensor, index: int | tf.Tensor = 0) -> tf.Tensor:
        """Return the baselines [B, H, W, C] float32.

        Args:
            images: [B, H, W, C] float32.
            index: Index of the random draw; only used by "uniform".
        """
        if self.name == "black":
            return tf.fill(tf.shape(images), self.value_range[0])
        if self.name == "white":
            return tf.fill(tf.shape(images), self.value_range[1])
        if self.name == "mean":
            mean = tf.reduce_mean(images, axis=[1, 2], keepdims=True)
            return tf.broadcast_to(mean, tf.shape(images))
        if self.name == "blur":
            return _blur(images)
        noise = uniform(tf.shape(images)[1:], self.seed, index, self.value_range)
        return tf.broadcast_to(noise, tf.shape(images))


class BaselineMethod(BaselineOptions, Method):
    """A method that compares the image with a baseline image."""

    def baselines(self, images: tf.Tensor, index: int | tf.Tensor = 0) -> tf.Tensor:
        """Return the baselines of images; see `Baseline`."""
        return Baseline(self.baseline, self.value_range, self.seed)(images, index)


def _blur(images: tf.Tensor) -> tf.Tensor:
    rows = _gaussian(tf.shape(images)[1])
    columns = _gaussian(tf.shape(images)[2])
    return tf.einsum("ij,bjkc,lk->bilc", rows, images, columns)


def _gaussian(length: tf.Tensor) -> tf.Tensor:
    """Return the blur along one axis as a matrix [length, length] float32; rows sum to 1."""
    at = tf.range(tf.cast(length, tf.float32))
    distances = (at[:, tf.newaxis] - at) / (_BLUR * tf.cast(length, tf.float32))
    return tf.nn.softmax(-tf.square(distances) / 2, axis=-1)
