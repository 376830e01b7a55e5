"""Resizing of images in operations that ONNX has, with the same values as TensorFlow's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

import keras
import numpy as np
import onnx
import tensorflow as tf
from numpy.typing import NDArray
from tf2onnx import utils
from tf2onnx.onnx_opset.nn import Resize

from proxy_keras.graph import FlatClone, original_of


@contextmanager
def convertible_resizing(flat: FlatClone) -> Iterator[None]:
    """Make the resizing in a flat clone convert to ONNX. A context manager.

    Keras computes the crop or padding for an aspect ratio in the graph, which fails in half
    precision. ONNX has not all interpolations, and rounds the places of pixels in others. Here the
    weights of all pixels are constants.

    Args:
        flat: The clone; its layers compute the same values meanwhile, by other operations.

    Raises:
        ValueError: A layer resizes images in the format "channels_first".
    """
    replaced = []
    for operation in flat.model.operations:
        original = original_of(operation)
        is_layer = type(operation) is keras.layers.Resizing
        is_operation = type(original).__name__ == "Resize" and _is_keras_own(original)
        if not (is_layer or is_operation):
            continue
        settings: Any = original
        size = (settings.height, settings.width) if is_layer else settings.size
        if settings.data_format != "channels_last":
            raise ValueError(
                f"Layer '{operation.name}' resizes images of `data_format='channels_first'`. Only "
                "'channels_last' can be exported."
            )
        operation.call = partial(_resized, settings, tuple(size))
        replaced.append(operation)
    try:
        yield
    finally:
        for operation in replaced:
            del operation.call


def size_handlers() -> dict[str, tuple[Any, list[Any]]]:
    """Return handlers for tf2onnx that give the sizes of resized images instead of scales.

    A scale of 224 / 320 is rounded, and 320 times it to 223.
    """
    return dict.fromkeys(("ResizeBilinear", "ResizeBicubic"), (_resize_to_size, []))


def omit_scales(graph: onnx.GraphProto) -> None:
    """Omit the empty scales of resizing with sizes, which half precision would convert."""
    for node in graph.node:
        if node.op_type == "Resize" and len(node.input) == 4:
            node.input[1] = node.input[2] = ""


def _resized(settings: Any, size: tuple[int, int], images: tf.Tensor, **_: Any) -> tf.Tensor:
    """Return images [B, H, W, C] float32 at a size (h, w), by the settings of Keras' resizing."""
    if settings.crop_to_aspect_ratio:
        images = _cropped(images, size)
    elif settings.pad_to_aspect_ratio:
        images = _padded(images, size, settings.fill_value)
    method = settings.interpolation
    height, width, channels = images.shape[1:]
    rows, columns = (
        _weights(before, after, method, settings.antialias)
        for before, after in zip((height, width), size, strict=True)
    )
    if method in ("nearest", "bilinear") and not settings.antialias:
        return _interpolated(_interpolated(images, rows, axis=1), columns, axis=2)
    flat = tf.reshape(images, [-1, height, width * channels])
    by_row = tf.reshape(tf.matmul(tf.constant(rows), flat), [-1, width, channels])
    return tf.reshape(tf.matmul(tf.constant(columns), by_row), [-1, *size, channels])


def _interpolated(images: tf.Tensor, weights: NDArray[np.float32], axis: int) -> tf.Tensor:
    """Apply weights of which at most two of each pixel are not 0, without a product of matrices."""
    first = (weights != 0).argmax(axis=1)
    last = weights.shape[1] - 1 - (weights != 0)[:, ::-1].argmax(axis=1)
    low = tf.gather(images, first, axis=axis)
    if np.array_equal(first, last):
        return low
    share = np.where(first == last, 0, weights[np.arange(len(weights)), last])
    share = share.astype(np.float32).reshape([-1] + [1] * (3 - axis))
    return low + (tf.gather(images, last, axis=axis) - low) * share


def _weights(before: int, after: int, method: str, antialias: bool) -> NDArray[np.float32]:
    """Return the weight [after, before] of each pixel of a line in each pixel of the result."""
    with tf.init_scope():
        # One channel per pixel.
        line = tf.eye(before)[tf.newaxis, :, tf.newaxis]
        resized = tf.image.resize(line, (after, 1), method, antialias=antialias)
        return cast(NDArray[np.float32], resized.numpy()[0, :, 0])


def _cropped(images: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    """Return the centre of images with the aspect ratio of a size, rounded as in Keras."""
    height, width = images.shape[1:3]
    rows = max(min(height, _rounded(width * size[0], size[1])), 1)
    columns = max(min(width, _rounded(height * size[1], size[0])), 1)
    top, left = (height - rows) // 2, (width - columns) // 2
    return images[:, top : top + rows, left : left + columns]


def _padded(images: tf.Tensor, size: tuple[int, int], fill_value: float) -> tf.Tensor:
    """Return images in the centre of a frame with the aspect ratio of a size, as in Keras."""
    height, width = images.shape[1:3]
    top = (max(height, _rounded(width * size[0], size[1])) - height) // 2
    left = (max(width, _rounded(height * size[1], size[0])) - width) // 2
    margins = [[0, 0], [top, top], [left, left], [0, 0]]
    return tf.pad(images, margins, constant_values=fill_value)


def _rounded(numerator: int, denominator: int) -> int:
    return int(np.float32(numerator) / np.float32(denominator))


def _is_keras_own(operation: keras.Operation) -> bool:
    return type(operation).__module__.startswith("keras.")


def _resize_to_size(graph: Any, node: Any, name: str, args: list[Any]) -> None:
    """Convert a resizing, with constant sizes if tf2onnx would use constant scales."""
    size, output = node.inputs[1], node.output[0]
    Resize.version_11(graph, node)
    resize = graph.get_node_by_output(output).inputs[0]
    if len(resize.input) != 3 or not size.is_const():
        return
    image, roi, _ = resize.input
    start, end, wanted = (
        graph.make_const(utils.make_name(name), np.array(value, np.int64)).output[0]
        for name, value in (("start", [0]), ("end", [2]), ("size", size.get_tensor_value()))
    )
    shape = graph.make_node("Shape", [image]).output[0]
    kept = graph.make_node("Slice", [shape, start, end]).output[0]
    sizes = graph.make_node("Concat", [kept, wanted], attr={"axis": 0}).output[0]
    no_scales = graph.make_const(utils.make_name("scales"), np.array([], np.float32)).output[0]
    graph.replace_inputs(resize, [image, roi, no_scales, sizes])
