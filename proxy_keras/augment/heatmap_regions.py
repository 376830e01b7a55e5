"""Resized heatmaps, and the cells and pixels where they are hottest."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from proxy_keras.heatmaps.scaling import constant_if_static, sides

_TOLERANCE = 1e-4
"""Smaller differences between heat values are rounding errors; maps have steps of 1/255."""


def resize_by_area(maps: tf.Tensor, size: tuple[int, int] | tf.Tensor) -> tf.Tensor:
    """Resize maps [B, h, w] to [B, H, W]; each cell is the mean of the area that it covers."""
    height, width = sides(maps)
    rows = constant_if_static(_overlap, size[0], height)
    columns = constant_if_static(_overlap, size[1], width)
    return tf.matmul(rows, tf.matmul(tf.cast(maps, tf.float32), columns, transpose_b=True))


def _overlap(cells: int | tf.Tensor, pixels: int | tf.Tensor) -> tf.Tensor:
    """Return the share of each cell that each pixel covers: [cells, pixels]; rows sum to 1."""
    step = tf.cast(pixels, tf.float32) / tf.cast(cells, tf.float32)
    starts = step * tf.range(tf.cast(cells, tf.float32))[:, tf.newaxis]
    left = tf.range(tf.cast(pixels, tf.float32))
    covered = tf.minimum(starts + step, left + 1.0) - tf.maximum(starts, left)
    return tf.nn.relu(covered) / step


def enlarge_cells(cells: tf.Tensor, side: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
    """Enlarge cells [B, h, w] of any dtype to pixels [B, H, W], by nearest neighbour."""
    shape = tf.shape(cells)
    rows = tf.range(side[0]) * shape[1] // side[0]
    columns = tf.range(side[1]) * shape[2] // side[1]
    return tf.gather(tf.gather(cells, rows, axis=1), columns, axis=2)


def normalise_sum(maps: NDArray[np.floating]) -> NDArray[np.float64]:
    """Scale maps [B, h, w] to sum to 1; a blank map becomes uniform."""
    total = maps.sum(axis=(1, 2), keepdims=True, dtype=np.float64)
    return np.where(total > 0, maps / np.where(total > 0, total, 1.0), 1.0 / maps[0].size)


def hottest_cells(heat: tf.Tensor, count: int, seed: tf.Tensor) -> tf.Tensor:
    """Return the mask of the hottest `count` cells: [B, h, w] bool; ties are broken at random."""
    shape = tf.shape(heat)
    cells = shape[1] * shape[2]
    flat = tf.round(tf.reshape(heat, [shape[0], cells]) / _TOLERANCE)
    # `top_k` takes the first of equal values, so the order is made random.
    order = tf.argsort(tf.random.stateless_uniform([shape[0], cells], seed), axis=1)
    _, positions = tf.math.top_k(tf.gather(flat, order, batch_dims=1), count)
    chosen = tf.gather(order, positions, batch_dims=1)
    is_chosen = tf.reduce_any(tf.one_hot(chosen, cells, True, False), axis=1)
    return tf.reshape(is_chosen, shape)


def hottest_pixel(heat: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Return row and column of the hottest pixel: [B, 2] int32; ties are broken at random."""
    shape = tf.shape(heat)
    flat = tf.reshape(heat, [shape[0], -1])
    is_top = flat >= tf.reduce_max(flat, axis=1, keepdims=True) - _TOLERANCE
    draw = tf.random.stateless_uniform(tf.shape(flat), seed)
    index = tf.argmax(tf.where(is_top, draw, -1.0), axis=1, output_type=tf.int32)
    return tf.stack([index // shape[2], index % shape[2]], axis=1)
