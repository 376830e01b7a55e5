"""Images composed of several, labels by area: SmoothMix, ResizeMix, RICAP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from proxy_keras.augment.batch_layer import Batch, BatchLayer
from proxy_keras.augment.boxes import box_masks, warp_boxes
from proxy_keras.augment.masks import mix, paste, shares, size_of
from proxy_keras.augment.option_rules import check_positive, checked_range
from proxy_keras.augment.stateless_random import beta, integers, partners, split_seed, uniform


@keras.saving.register_keras_serializable("proxy_keras")
class SmoothMix(BatchLayer):
    """Two images mixed with a soft-edged mask; labels by the mask's mean.

    Args:
        spread: Smallest and largest sigma of the Gaussian mask, as a share of the image's shorter
            side, > 0.

    Raises:
        ValueError: `spread` is not a range of numbers > 0.

    Source: Lee et al., SmoothMix (2020), with the circular mask.
    """

    def __init__(self, spread: Sequence[float] = (0.25, 0.5), **options: Any) -> None:
        self.spread = checked_range("spread", spread, 1e-3, 1e3)
        super().__init__(**options)

    def augment(self, batch: Batch, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images, labels, _ = batch
        count, height, width = size_of(images)
        of_partner, of_row, of_column, of_spread = split_seed(seed, 4)
        partner = partners(count, of_partner)
        row, column = integers([count], of_row, height), integers([count], of_column, width)
        shorter = tf.cast(tf.minimum(height, width), tf.float32)
        mask = gaussians(
            row, column, uniform([count], of_spread, *self.spread) * shorter, height, width
        )
        others = tf.gather(images, partner)
        made = others + mask * (images - others)
        return made, mix(labels, tf.gather(labels, partner), shares(mask))


def gaussians(
    row: tf.Tensor, column: tf.Tensor, sigma: tf.Tensor, height: tf.Tensor, width: tf.Tensor
) -> tf.Tensor:
    """Return exp(-d^2 / (2 sigma^2)), d the distance from a pixel: [B, H, W, 1] in [0, 1]."""

    def line(length: tf.Tensor, centre: tf.Tensor) -> tf.Tensor:
        offset = tf.range(tf.cast(length, tf.float32)) - tf.cast(centre, tf.float32)[:, tf.newaxis]
        return tf.exp(-tf.square(offset / sigma[:, tf.newaxis]) / 2.0)

    rows, columns = line(height, row), line(width, column)
    return (rows[:, :, tf.newaxis] * columns[:, tf.newaxis, :])[..., tf.newaxis]


@keras.saving.register_keras_serializable("proxy_keras")
class ResizeMix(BatchLayer):
    """Another image, downsized and pasted at a random position; labels by area.

    Args:
        scale: Smallest and largest side of the pasted image as a share of the image's, in [0, 1].

    Raises:
        ValueError: `scale` is not a range in [0, 1].

    Source: Qin et al., ResizeMix (2020).
    """

    def __init__(self, scale: Sequence[float] = (0.1, 0.8), **options: Any) -> None:
        self.scale = checked_range("scale", scale, 0.0, 1.0)
        super().__init__(**options)

    def augment(self, batch: Batch, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images, labels, _ = batch
        count, height, width = size_of(images)
        of_partner, of_scale, of_row, of_column = split_seed(seed, 4)
        partner = partners(count, of_partner)
        scale = uniform([count], of_scale, *self.scale)
        high, wide = (
            tf.cast(tf.floor(scale * tf.cast(side, tf.float32)), tf.int32)
            for side in (height, width)
        )
        top = integers([count], of_row, height - high + 1)
        left = integers([count], of_column, width - wide + 1)
        boxes = tf.stack([top, left, top + high, left + wide], axis=1)
        whole = tf.stack([0, 0, height, width])[tf.newaxis]
        others = warp_boxes(tf.gather(images, partner), whole, boxes)
        mask = box_masks(boxes, (height, width))
        return paste(images, labels, others, tf.gather(labels, partner), mask)


@keras.saving.register_keras_serializable("proxy_keras")
class RICAP(BatchLayer):
    """Random crops of four images, one in each corner; labels by area.

    Args:
        alpha: Parameter of the Beta(alpha, alpha) distribution of the point where they meet, > 0.

    Raises:
        ValueError: `alpha` is not > 0.

    Source: Takahashi et al., RICAP (2018); here the point is drawn per image, not per batch.
    """

    def __init__(self, alpha: float = 0.3, **options: Any) -> None:
        check_positive("alpha", alpha)
        self.alpha = alpha
        super().__init__(**options)

    def augment(self, batch: Batch, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images, labels, _ = batch
        count, height, width = size_of(images)
        of_row, of_column, of_crop_y, of_crop_x, *of_partner = split_seed(seed, 7)
        row, column = (
            tf.cast(tf.round(beta([count], s, self.alpha) * tf.cast(side, tf.float32)), tf.int32)
            for s, side in ((of_row, height), (of_column, width))
        )
        own = tf.range(count)
        sources = tf.stack([own, *(partners(count, s) for s in of_partner)], axis=1)
        heights = tf.stack([row, row, height - row, height - row], axis=1)
        widths = tf.stack([column, width - column, column, width - column], axis=1)
        tops = integers([count, 4], of_crop_y, height - heights + 1)
        lefts = integers([count, 4], of_crop_x, width - widths + 1)
        made = four_corners(images, sources, row, column, tops, lefts)
        area = tf.cast(heights * widths, tf.float32) / tf.cast(height * width, tf.float32)
        return made, tf.einsum("bq,bqk->bk", area, tf.gather(labels, sources))


def four_corners(
    images: tf.Tensor,
    sources: tf.Tensor,
    row: tf.Tensor,
    column: tf.Tensor,
    tops: tf.Tensor,
    lefts: tf.Tensor,
) -> tf.Tensor:
    """Compose images from crops of four images, one in each corner.

    Args:
        images: [B, H, W, C] float32.
        sources: [B, 4] int32, the images for the upper left, upper right, lower left and lower
            right corner.
        row, column: [B] int32, where the corners meet.
        tops, lefts: [B, 4] int32, where the crops start.

    Returns:
        [B, H, W, C] float32.
    """
    _, height, width = size_of(images)
    y, x = tf.range(height), tf.range(width)
    is_lower = tf.cast(y >= row[:, tf.newaxis], tf.int32)
    is_right = tf.cast(x >= column[:, tf.newaxis], tf.int32)
    in_y = y - is_lower * row[:, tf.newaxis]
    in_x = x - is_right * column[:, tf.newaxis]
    corner = 2 * is_lower[:, :, tf.newaxis] + is_right[:, tf.newaxis, :]

    def of_corner(values: tf.Tensor) -> tf.Tensor:
        return tf.gather(values, corner, batch_dims=1)

    from_y = in_y[:, :, tf.newaxis] + of_corner(tops)
    from_x = in_x[:, tf.newaxis, :] + of_corner(lefts)
    pixels = tf.reshape(images, [-1, images.shape[-1]])
    return tf.gather(pixels, (of_corner(sources) * height + from_y) * width + from_x)
