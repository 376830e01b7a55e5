"""Rules of operations that move, crop or pad values without changing them."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from export.vjp.rule import Pullback


def identity(operation: Any, x: tf.Tensor) -> tuple[tf.Tensor, Pullback]:
    """Rule of layers that return their input in inference."""
    return x, lambda gradient: (gradient,)


def cast(operation: Any, x: tf.Tensor) -> tuple[tf.Tensor, Pullback]:
    """Rule of a cast between floats, all of which are float32 here."""
    if not keras.backend.is_float_dtype(operation.dtype):
        raise NotImplementedError(f"it casts to {operation.dtype}, which has no gradient")
    return x, lambda gradient: (gradient,)


def stop_gradient(operation: Any, x: tf.Tensor) -> tuple[tf.Tensor, Pullback]:
    """Rule of `stop_gradient`."""
    return x, lambda gradient: (tf.zeros_like(x),)


def reshape(operation: Any, x: tf.Tensor) -> tuple[tf.Tensor, Pullback]:
    """Rule of layers and operations that keep all values in order."""
    y = operation(x)
    if y.shape.rank is None:
        raise NotImplementedError("the number of axes depends on the batch; pass an axis")
    size = [-1, *x.shape[1:]]
    return y, lambda gradient: (tf.reshape(gradient, size),)


def permute(layer: layers.Permute, x: tf.Tensor) -> tuple[tf.Tensor, Pullback]:
    """Rule of the layer that permutes all axes except the batch."""
    return _transposed(x, [0, *layer.dims])


def transpose(operation: Any, x: tf.Tensor) -> tuple[tf.Tensor, Pullback]:
    """Rule of the permutation of all axes."""
    rank = len(x.shape)
    axes = list(range(rank))[::-1] if operation.axes is None else operation.axes
    return _transposed(x, [axis % rank for axis in axes])


def swap_axes(operation: Any, x: tf.Tensor) -> tuple[tf.Tensor, Pullback]:
    """Rule of swapping two axes."""
    order = list(range(len(x.shape)))
    first, second = operation.axis1, operation.axis2
    order[first], order[second] = order[second], order[first]
    return _transposed(x, order)


def zero_padding(layer: layers.ZeroPadding2D, x: tf.Tensor) -> tuple[tf.Tensor, Pullback]:
    """Rule of zero padding around a map."""
    (top, _), (left, _) = layer.padding
    height, width = x.shape[1:3]
    return layer(x), lambda gradient: (gradient[:, top : top + height, left : left + width],)


def cropping(
    layer: layers.Cropping1D | layers.Cropping2D, x: tf.Tensor
) -> tuple[tf.Tensor, Pullback]:
    """Rule of cropping a map or a sequence."""
    # One pair of widths for a sequence, two for a map.
    widths = [[0, 0], *np.reshape(layer.cropping, [-1, 2]).tolist(), [0, 0]]
    return layer(x), lambda gradient: (tf.pad(gradient, widths),)


def get_item(operation: Any, x: tf.Tensor, key: Any) -> tuple[tf.Tensor, Pullback]:
    """Rule of indexing with numbers, slices, None and ..., as in `tokens[:, 0]`."""
    parts = list(key) if isinstance(key, (tuple, list)) else [key]
    if not all(part is None or isinstance(part, (int, slice, type(...))) for part in parts):
        raise NotImplementedError(
            "it is indexed by a tensor; only numbers and slices are supported"
        )
    widths, steps = _gaps(x, parts)
    # Axes of length 1 that the index drops or adds do not change the order in memory.
    kept = [-1, *(len(range(*part)) for part in steps[1:])]

    def pullback(gradient: tf.Tensor) -> tuple[tf.Tensor]:
        apart = tf.reshape(gradient, kept)
        for axis, (start, stop, step) in enumerate(steps):
            if step > 1:
                apart = _with_gaps(apart, axis, step, stop - start)
        return (tf.pad(apart, widths),)

    return x[tuple(parts)], pullback


def _gaps(x: tf.Tensor, parts: list[Any]) -> tuple[list[list[int]], list[tuple[int, int, int]]]:
    """Return what an index leaves out before and after on each axis, and (start, stop, step)."""
    indexed = [part for part in parts if part is not None]
    if Ellipsis not in indexed:
        indexed.append(Ellipsis)
    position = indexed.index(Ellipsis)
    whole = [slice(None)] * (len(x.shape) - len(indexed) + 1)
    indexed[position : position + 1] = whole
    if indexed[0] != slice(None):
        raise NotImplementedError("it selects examples of the batch")
    widths, steps = [[0, 0]], [(0, 0, 1)]
    for part, size in zip(indexed[1:], x.shape[1:], strict=True):
        index = slice(part % size, part % size + 1) if isinstance(part, int) else part
        start, stop, step = index.indices(size)
        if step < 0:
            raise NotImplementedError(f"it is indexed backwards, with a step of {step}")
        # The last index that a slice reads, plus one.
        stop = start + (len(range(start, stop, step)) - 1) * step + 1
        widths.append([start, size - stop])
        steps.append((start, stop, step))
    return widths, steps


def _with_gaps(values: tf.Tensor, axis: int, step: int, length: int) -> tf.Tensor:
    """Insert `step - 1` zeros between values along `axis`."""
    before, count, after = values.shape[1:axis], values.shape[axis], values.shape[axis + 1 :]
    cells = tf.reshape(values, [-1, count, 1, int(np.prod(after))])
    cells = tf.pad(cells, [[0, 0], [0, 0], [0, step - 1], [0, 0]])
    cells = tf.reshape(cells, [-1, count * step, int(np.prod(after))])[:, :length]
    return tf.reshape(cells, [-1, *before, length, *after])


def _transposed(x: tf.Tensor, order: list[int]) -> tuple[tf.Tensor, Pullback]:
    back = [order.index(axis) for axis in range(len(order))]
    return tf.transpose(x, order), lambda gradient: (tf.transpose(gradient, back),)
