"""The images that stand for "nothing to see", from which attributions are counted."""

from __future__ import annotations

import math

import tensorflow as tf

from proxy_keras.attribution.draws import uniform
from proxy_keras.attribution.method import SignedMethod

BASELINES = ("black", "white", "mean", "blur", "uniform")

# Standard deviation of the blur, as a share of each side: no shape is left, colours are.
_BLUR = 1 / 8


class Baseline:
    """A baseline image for each image of a batch.

    Args:
        name: "black" or "white": the lowest or highest value; "mean": the image's own mean
            colour; "blur": the image without its details; "uniform": noise, the same for all.
        value_range: (lowest, highest) value of the images that the model takes.
        seed: Of the noise.

    Raises:
        ValueError: There is no such baseline, or the range is empty.

    Source: Sturmfels, Lundberg and Lee, Visualizing the Impact of Feature Attribution Baselines
    (Distill 2020).
    """

    def __init__(self, name: str, value_range: tuple[float, float], seed: int) -> None:
        if name not in BASELINES:
            raise ValueError(f"`baseline` must be one of {BASELINES}. Received: {name!r}")
        low, high = value_range
        if not (low < high and math.isfinite(low) and math.isfinite(high)):
            raise ValueError(
                "`value_range` must be (lowest, highest) of the images that the model takes. "
                f"Received: {value_range}"
            )
        self.name = name
        self.value_range = (float(low), float(high))
        self.seed = seed

    def __call__(self, images: tf.Tensor, number: int | tf.Tensor = 0) -> tf.Tensor:
        """Baselines [B, H, W, C] float32.

        Args:
            images: [B, H, W, C] float32.
            number: Which draw, where the baseline is drawn.
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
        noise = uniform(tf.shape(images)[1:], self.seed, number, self.value_range)
        return tf.broadcast_to(noise, tf.shape(images))


class BaselineMethod(SignedMethod):
    """A signed method that explains the difference from a baseline image.

    Args:
        baseline: One of "black", "white", "mean", "blur", "uniform"; see `Baseline`.
        value_range: (lowest, highest) value of the images that the model takes.
        seed: Of the "uniform" baseline.

    Raises:
        ValueError: An option is outside its range.
    """

    def __init__(
        self,
        *,
        baseline: str = "black",
        value_range: tuple[float, float] = (0.0, 255.0),
        seed: int = 0,
    ) -> None:
        self.baseline = Baseline(baseline, value_range, seed)


def _blur(images: tf.Tensor) -> tf.Tensor:
    rows = _gaussian(tf.shape(images)[1])
    columns = _gaussian(tf.shape(images)[2])
    return tf.einsum("ij,bjkc,lk->bilc", rows, images, columns)


def _gaussian(length: tf.Tensor) -> tf.Tensor:
    """[length, length] float32: what each pixel gives to each along one axis; rows sum to 1."""
    at = tf.range(tf.cast(length, tf.float32))
    distances = (at[:, tf.newaxis] - at) / (_BLUR * tf.cast(length, tf.float32))
    return tf.nn.softmax(-tf.square(distances) / 2, axis=-1)
