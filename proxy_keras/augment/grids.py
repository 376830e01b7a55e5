"""Regions removed along a grid: Hide-and-Seek and GridMask."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from proxy_keras.augment.batch_layer import Batch
from proxy_keras.augment.filling import Fill, FillingLayer
from proxy_keras.augment.masks import size_of
from proxy_keras.augment.option_rules import (
    check_number,
    check_share,
    checked_counts,
    checked_range,
)
from proxy_keras.augment.stateless_random import integers, split_seed, uniform


@keras.saving.register_keras_serializable("proxy_keras")
class HideAndSeek(FillingLayer):
    """Randomly hidden cells of a grid.

    Args:
        hide: Chance that a cell is hidden, in [0, 1].
        cells: Cells per side of the grid; one of these numbers is drawn per image. The default
            matches the paper's cells of 56, 44, 32 and 16 of 224 pixels.
        fill: See `FillingLayer`; the data set's mean in the paper.

    Raises:
        ValueError: An option has an invalid value.

    Source: Singh et al., Hide-and-Seek (2018).
    """

    keeps_labels = True

    def __init__(
        self,
        hide: float = 0.5,
        cells: Sequence[int] = (4, 5, 7, 14),
        fill: Fill = "mean",
        **options: Any,
    ) -> None:
        check_share("hide", hide)
        self.hide = hide
        self.cells = checked_counts("cells", (cells,) if isinstance(cells, int) else cells, 1)
        super().__init__(fill=fill, **options)

    def augment(self, batch: Batch, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images, labels, _ = batch
        count, height, width = size_of(images)
        of_number, of_cell = split_seed(seed, 2)
        number = tf.gather(self.cells, integers([count], of_number, len(self.cells)))
        most = max(self.cells)
        is_hidden = uniform([count, most, most], of_cell) < self.hide
        is_out = cells_to_pixels(is_hidden, number, height, width)
        return self.fill_where(images, is_out, seed), labels


def cells_to_pixels(
    cells: tf.Tensor, number: tf.Tensor, height: tf.Tensor, width: tf.Tensor
) -> tf.Tensor:
    """Return the value of the cell that contains each pixel.

    Args:
        cells: [B, n, n], of which each image uses the first `number` rows and columns.
        number: [B] int32, cells per side, <= n.
        height, width: Size of the images.

    Returns:
        [B, H, W, 1] of the same dtype.
    """
    rows = tf.range(height) * number[:, tf.newaxis] // height
    columns = tf.range(width) * number[:, tf.newaxis] // width
    by_rows = tf.gather(cells, rows, batch_dims=1)
    by_columns = tf.gather(tf.transpose(by_rows, [0, 2, 1]), columns, batch_dims=1)
    return tf.transpose(by_columns, [0, 2, 1])[..., tf.newaxis]


@keras.saving.register_keras_serializable("proxy_keras")
class GridMask(FillingLayer):
    """Squares removed on a regular grid.

    Args:
        ratio: Share of a unit's side that is kept, in [0, 1]: a square of side d (1 - ratio) is
            removed from each unit of side d. At 1 nothing changes.
        unit: Smallest and largest side of a unit, as a share of the image's shorter side, in
            (0, 1]; 96 to 224 of 224 pixels in the paper.
        degrees: Largest rotation of the grid in either direction, in [0, 180].
        fill: See `FillingLayer`; 0 in the paper.

    Raises:
        ValueError: An option has an invalid value.

    Source: Chen et al., GridMask (2020). For its probability that rises during training, use
    `curriculum:of=grid_mask`.
    """

    keeps_labels = True

    def __init__(
        self,
        ratio: float = 0.6,
        unit: Sequence[float] = (96 / 224, 1.0),
        degrees: float = 45.0,
        fill: Fill = 0.0,
        **options: Any,
    ) -> None:
        check_share("ratio", ratio)
        check_number("degrees", degrees, 0.0, 180.0)
        self.ratio = ratio
        self.unit = checked_range("unit", unit, 1e-3, 1.0)
        self.degrees = degrees
        super().__init__(fill=fill, **options)

    def augment(self, batch: Batch, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images, labels, _ = batch
        count, height, width = size_of(images)
        of_unit, of_row, of_column, of_angle = split_seed(seed, 4)
        shorter = tf.cast(tf.minimum(height, width), tf.float32)
        unit = tf.maximum(tf.round(uniform([count], of_unit, *self.unit) * shorter), 1.0)
        starts = tf.stack(
            [tf.floor(uniform([count], s) * unit) for s in (of_row, of_column)], axis=1
        )
        limit = math.radians(self.degrees)
        angle = uniform([count], of_angle, -limit, limit)
        is_out = grid(height, width, unit, self.ratio, starts, angle)
        return self.fill_where(images, is_out, seed), labels


def grid(
    height: tf.Tensor,
    width: tf.Tensor,
    unit: tf.Tensor,
    ratio: float,
    starts: tf.Tensor,
    angle: tf.Tensor,
) -> tf.Tensor:
    """Return the mask of the pixels that the grid removes.

    Args:
        height, width: Size of the images.
        unit: [B] float32, side of a unit in pixels.
        ratio: Share of the unit's side that is kept.
        starts: [B, 2] float32, row and column at which a square starts.
        angle: [B] float32, radians, about the centre.

    Returns:
        [B, H, W, 1] bool.
    """
    rows, columns = tf.cast(height, tf.float32), tf.cast(width, tf.float32)
    middle_y, middle_x = (rows - 1.0) / 2.0, (columns - 1.0) / 2.0
    y = (tf.range(rows) - middle_y)[:, tf.newaxis]
    x = (tf.range(columns) - middle_x)[tf.newaxis, :]
    cos, sin, unit, start_y, start_x = (
        values[:, tf.newaxis, tf.newaxis]
        for values in (tf.cos(angle), tf.sin(angle), unit, starts[:, 0], starts[:, 1])
    )
    side = tf.round(unit * (1.0 - ratio))
    # Rounded to a thousandth, so that pixels exactly on an edge are always on the same side.
    v = tf.round(1e3 * (cos * y + sin * x + middle_y - start_y)) / 1e3
    u = tf.round(1e3 * (cos * x - sin * y + middle_x - start_x)) / 1e3
    is_out = (tf.math.floormod(v, unit) < side) & (tf.math.floormod(u, unit) < side)
    return is_out[..., tf.newaxis]
