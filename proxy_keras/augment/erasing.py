"""Rectangles erased from images: Random Erasing and Cutout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from proxy_keras.augment.batch_layer import Batch
from proxy_keras.augment.boxes import rectangles
from proxy_keras.augment.filling import Fill, FillingLayer
from proxy_keras.augment.masks import size_of
from proxy_keras.augment.option_rules import check_share, checked_range
from proxy_keras.augment.stateless_random import integers, split_seed, uniform

ATTEMPTS = 100
"""Rectangles drawn per image; the first one inside the image is erased."""


@keras.saving.register_keras_serializable("proxy_keras")
class RandomErasing(FillingLayer):
    """A rectangle of random size, shape and position, erased from half of the images.

    Keras' layer of this name has neither the aspect ratio nor the uniform noise of the paper.

    Args:
        probability: Chance that an image is changed.
        area: Smallest and largest share of the image that is erased, in [0, 1].
        ratio: Smallest and largest height over width, > 0.
        fill: "random" for noise per pixel, uniform in [0, 255]; otherwise see `FillingLayer`.

    Raises:
        ValueError: An option has an invalid value.

    Source: Zhong et al., Random Erasing (2020), algorithm 1.
    """

    keeps_labels = True

    named_fills = ("mean", "random")

    def __init__(
        self,
        probability: float = 0.5,
        area: Sequence[float] = (0.02, 0.4),
        ratio: Sequence[float] = (0.3, 1 / 0.3),
        fill: Fill = "random",
        **options: Any,
    ) -> None:
        self.area = checked_range("area", area, 0.0, 1.0)
        self.ratio = checked_range("ratio", ratio, 1e-3, 1e3)
        super().__init__(probability=probability, fill=fill, **options)

    def augment(self, batch: Batch, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images, labels, _ = batch
        count, height, width = size_of(images)
        of_boxes, of_fill = split_seed(seed, 2)
        box = random_boxes(count, height, width, self.area, self.ratio, of_boxes)
        return self.fill_where(images, rectangles(*box, (height, width)), of_fill), labels

    def _fill(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        if self.fill == "random":
            return uniform(tf.shape(images), seed, 0.0, 255.0)
        return super()._fill(images, seed)


def random_boxes(
    count: tf.Tensor,
    height: tf.Tensor,
    width: tf.Tensor,
    area: tuple[float, float],
    ratio: tuple[float, float],
    seed: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """Draw boxes inside the image: (top, left, height, width), each [count], in whole pixels.

    The first of several draws that lies inside the image is used; if none does, the box is empty.
    """
    rows, columns = tf.cast(height, tf.float32), tf.cast(width, tf.float32)
    of_area, of_ratio, of_top, of_left = split_seed(seed, 4)
    shape = [count, ATTEMPTS]
    pixels = uniform(shape, of_area, *area) * rows * columns
    aspect = uniform(shape, of_ratio, *ratio)
    high, wide = tf.round(tf.sqrt(pixels * aspect)), tf.round(tf.sqrt(pixels / aspect))
    top = tf.floor(uniform(shape, of_top) * rows)
    left = tf.floor(uniform(shape, of_left) * columns)
    fits = (top + high <= rows) & (left + wide <= columns)
    first = tf.argmax(fits, axis=1)
    top, left, high, wide = (
        tf.gather(values, first, batch_dims=1) for values in (top, left, high, wide)
    )
    return top, left, tf.where(tf.reduce_any(fits, axis=1), high, 0.0), wide


@keras.saving.register_keras_serializable("proxy_keras")
class Cutout(FillingLayer):
    """An erased square centred on a random pixel; it may extend beyond the image.

    Args:
        size: Side of the square as a share of the image's shorter side, in [0, 1]. 0.5 is the
            paper's 16 pixels for CIFAR-10; it uses 8 for CIFAR-100.
        fill: See `FillingLayer`. The paper's zero, after normalisation, is the data set's mean.

    Raises:
        ValueError: An option has an invalid value.

    Source: DeVries and Taylor, Cutout (2017).
    """

    keeps_labels = True

    def __init__(self, size: float = 0.5, fill: Fill = "mean", **options: Any) -> None:
        check_share("size", size)
        self.size = size
        super().__init__(fill=fill, **options)

    def augment(self, batch: Batch, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images, labels, _ = batch
        count, height, width = size_of(images)
        side = tf.round(self.size * tf.cast(tf.minimum(height, width), tf.float32))
        of_row, of_column = split_seed(seed, 2)
        top = tf.cast(integers([count], of_row, height), tf.float32) - side // 2
        left = tf.cast(integers([count], of_column, width), tf.float32) - side // 2
        sides = tf.fill([count], side)
        is_out = rectangles(top, left, sides, sides, (height, width))
        return self.fill_where(images, is_out, seed), labels
