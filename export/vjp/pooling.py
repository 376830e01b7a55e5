"""Rules of average and maximum pooling by windows, overlapping or not."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from keras import layers

from export.vjp.rule import Pullback
from export.vjp.windows import Windows, spread


def average_pool(pool: Any, x: tf.Tensor) -> tuple[tf.Tensor, Pullback]:
    """Rule of average pooling, layer or operation; padding is not counted."""
    rows, columns = _windows(pool, x)
    real_cells = rows.real_cells[:, None, None] * columns.real_cells[:, None]
    window = [rows.window, columns.window]

    def pullback(gradient: tf.Tensor) -> tuple[tf.Tensor]:
        spread_out = spread(gradient / real_cells, rows, columns)
        return (tf.nn.avg_pool2d(spread_out, window, 1, "VALID") * np.float32(np.prod(window)),)

    return pool(x), pullback


def max_pool(pool: Any, x: tf.Tensor) -> tuple[tf.Tensor, Pullback]:
    """Rule of maximum pooling, layer or operation; see `_max_pool`."""
    return _max_pool(x, *_windows(pool, x))


def _max_pool(x: tf.Tensor, rows: Windows, columns: Windows) -> tuple[tf.Tensor, Pullback]:
    """Rule of maximum pooling; a window's gradient goes to its first largest cell, row by row.

    This is what TensorFlow does; sharing it between equal cells would give other heatmaps.
    """
    offsets = [(row, column) for row in range(rows.window) for column in range(columns.window)]

    def pullback(gradient: tf.Tensor) -> tuple[tf.Tensor]:
        first = tf.argmax(_cells(x, rows, columns, offsets), axis=-1)
        shares = gradient[..., None] * tf.one_hot(first, len(offsets), dtype=gradient.dtype)
        depth = x.shape[3]
        spread_out = spread(
            tf.reshape(shares, [-1, rows.count, columns.count, depth * len(offsets)]), rows, columns
        )
        spread_out = tf.reshape(spread_out, [-1, *spread_out.shape[1:3], depth, len(offsets)])
        # A cell is at its offset from the start of its window.
        parts = []
        for index, (row, column) in enumerate(offsets):
            top, left = rows.span - 1 - row, columns.span - 1 - column
            part = spread_out[:, top : top + rows.size, left : left + columns.size, :, index]
            parts.append(part)
        return (tf.add_n(parts),)

    window, strides = [rows.window, columns.window], [rows.stride, columns.stride]
    return tf.nn.max_pool2d(x, window, strides, rows.padding.upper()), pullback


def _cells(
    x: tf.Tensor, rows: Windows, columns: Windows, offsets: list[tuple[int, int]]
) -> tf.Tensor:
    """Return each window's cells, [B, rows.count, columns.count, D, offsets]."""
    # Padding must never be the maximum.
    padding = [[0, 0], rows.padded, columns.padded, [0, 0]]
    padded = tf.pad(x, padding, constant_values=x.dtype.min)
    cells = [
        padded[
            :,
            row : row + rows.reach : rows.stride,
            column : column + columns.reach : columns.stride,
        ]
        for row, column in offsets
    ]
    return tf.stack(cells, axis=-1)


def adaptive_average_pool(
    layer: layers.AdaptiveAveragePooling2D, x: tf.Tensor
) -> tuple[tf.Tensor, Pullback]:
    """Rule of average pooling to a given output size; windows differ by at most one cell."""
    height, width, depth = x.shape[1:]
    rows, columns = layer.output_size
    by_rows, by_columns = _shares(height, rows), _shares(width, columns)

    def pullback(gradient: tf.Tensor) -> tuple[tf.Tensor]:
        wide = tf.matmul(by_columns, gradient)
        tall = tf.matmul(by_rows, tf.reshape(wide, [-1, rows, width * depth]))
        return (tf.reshape(tall, [-1, height, width, depth]),)

    return layer(x), pullback


def adaptive_max_pool(
    layer: layers.AdaptiveMaxPooling2D, x: tf.Tensor
) -> tuple[tf.Tensor, Pullback]:
    """Rule of maximum pooling to an output size that divides the input's: columns, then rows.

    This order is Keras', and determines where the gradient goes when cells are equal.
    """
    sizes = x.shape[1:3]
    if any(size % count for size, count in zip(sizes, layer.output_size, strict=True)):
        raise NotImplementedError(
            f"its output size {tuple(layer.output_size)} does not divide its input's {tuple(sizes)}"
        )
    tall, wide = (
        Windows(size, size // count, "valid", size // count)
        for size, count in zip(sizes, layer.output_size, strict=True)
    )
    high, through_rows = _max_pool(x, tall, Windows(wide.size, 1, "valid"))
    y, through_columns = _max_pool(high, Windows(tall.count, 1, "valid"), wide)
    return y, lambda gradient: through_rows(*through_columns(gradient))


def _shares(size: int, count: int) -> Any:
    """Return the weight of each of `size` cells in the means of `count` windows, [size, count]."""
    starts = np.arange(count) * size // count
    ends = -(-np.arange(1, count + 1) * size // count)
    cells = np.arange(size)[:, None]
    is_in = (starts <= cells) & (cells < ends)
    return (is_in / (ends - starts)).astype(np.float32)


def _windows(pool: Any, x: tf.Tensor) -> tuple[Windows, Windows]:
    window = _pair(pool.pool_size)
    strides = window if pool.strides is None else _pair(pool.strides)
    rows, columns = (
        Windows(size, cells, pool.padding, stride)
        for size, cells, stride in zip(x.shape[1:3], window, strides, strict=True)
    )
    return rows, columns


def _pair(value: Any) -> tuple[int, int]:
    rows, columns = (value, value) if isinstance(value, int) else value
    return rows, columns
