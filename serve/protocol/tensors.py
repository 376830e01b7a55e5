"""Image tensors out of a request's JSON numbers or raw bytes, checked before use."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serve.protocol.spec import INPUT_NAME, Datatype, ModelSpec, ProtocolError, shown

Images = NDArray[np.uint8] | NDArray[np.float32]

# Binary tensors are little-endian.
_DTYPES: dict[Datatype, np.dtype[Any]] = {"UINT8": np.dtype("u1"), "FP32": np.dtype("<f4")}
_JSON_TYPES: dict[Datatype, set[type]] = {"UINT8": {int}, "FP32": {int, float}}


def check_shape(shape: object, spec: ModelSpec, *, max_rows: int) -> tuple[int, int, int, int]:
    """Returns a request's shape as (N, H, W, 3) after it was checked.

    Raises:
        ProtocolError: It is no list of whole numbers, not the model's, or asks for no row or for
            more than `max_rows`.
    """
    wanted = [-1, *spec.row_shape]
    # A bool is an int in Python, not in JSON.
    if not isinstance(shape, list) or any(type(size) is not int for size in shape):
        raise ProtocolError(
            f"'shape' of input '{INPUT_NAME}' must be a list of whole numbers, {wanted} with the "
            f"number of images for -1. Received: {shown(shape)}"
        )
    if tuple(shape[1:]) != spec.row_shape:
        raise ProtocolError(
            f"Model '{spec.name}' takes input '{INPUT_NAME}' of shape {wanted}. Received: "
            f"{shown(shape)}. Resize the images, or post the image file to /v1/predict."
        )
    if not 1 <= shape[0] <= max_rows:
        raise ProtocolError(
            f"A request to model '{spec.name}' must have 1 to {max_rows} images. Received: "
            f"{shown(shape[0])}. Send several requests."
        )
    return (shape[0], *spec.row_shape)


def images_from_bytes(
    body: bytes, offset: int, byte_size: object, shape: Sequence[int], datatype: Datatype
) -> Images:
    """Returns a view of the bytes behind the JSON part as images, without a copy where it can be.

    Args:
        body: The whole body of the request.
        offset: Where the tensor's bytes begin.
        byte_size: What the request says under `binary_data_size`.
        shape: (N, H, W, 3).
        datatype: Of the model's input.
    Returns:
        [N, H, W, 3] uint8, or float32 in [0, 255]; read-only.
    Raises:
        ProtocolError: The sizes disagree, or a value is outside [0, 255].
    """
    dtype = _DTYPES[datatype]
    wanted = prod(shape) * dtype.itemsize
    if type(byte_size) is not int or byte_size != wanted:
        raise ProtocolError(
            f"'binary_data_size' must be {wanted}, the bytes of shape {list(shape)} in {datatype}. "
            f"Received: {shown(byte_size)}"
        )
    if len(body) - offset != wanted:
        raise ProtocolError(
            f"After the JSON part {wanted} bytes must follow, the input's 'binary_data_size'. "
            f"Received: {len(body) - offset}. Check Inference-Header-Content-Length."
        )
    if datatype == "UINT8":
        return np.frombuffer(body, np.uint8, offset=offset).reshape(shape)
    floats = np.frombuffer(body, dtype, offset=offset).reshape(shape)
    _check_range(floats)
    # The JSON part's length decides where the floats start, aligned for the processor or not.
    return np.require(floats, np.float32, "A")


def images_from_json(data: object, shape: Sequence[int], datatype: Datatype) -> Images:
    """Returns JSON numbers, nested as `shape` or flat in row-major order, as images.

    Args:
        data: What the request says under `data`.
        shape: (N, H, W, 3).
        datatype: Of the model's input.
    Returns:
        [N, H, W, 3] uint8, or float32 in [0, 255].
    Raises:
        ProtocolError: The numbers are not as many as `shape` says or unevenly nested, or something
            else than a number in [0, 255] is among them (for UINT8: than a whole number).
    """
    values = _flat(data, shape)
    allowed = _JSON_TYPES[datatype]
    if not set(map(type, values)) <= allowed:
        raise _refusal(next(value for value in values if type(value) not in allowed), datatype)
    try:
        if datatype == "UINT8":
            return np.array(values, np.uint8).reshape(shape)
        # In float64, where a number too big for float32 is still told apart from infinity.
        floats = np.array(values, np.float64).reshape(shape)
    except OverflowError:
        outside = next(value for value in values if not 0 <= value <= 255)
        raise _refusal(outside, datatype) from None
    _check_range(floats)
    return floats.astype(np.float32)


def _flat(data: object, shape: Sequence[int]) -> list[Any]:
    if not isinstance(data, list):
        raise ProtocolError(
            f"'data' of input '{INPUT_NAME}' must be a list of numbers. Received: {shown(data)}"
        )
    if len(data) == prod(shape):
        return data
    level: list[Any] = data
    if len(data) == shape[0]:
        for size in shape[1:]:
            if set(map(type, level)) != {list} or set(map(len, level)) != {size}:
                break
            level = list(chain.from_iterable(level))
        else:
            return level
    raise ProtocolError(
        f"'data' of input '{INPUT_NAME}' must be nested as its shape {list(shape)} says, or one "
        f"flat list of {prod(shape)} numbers."
    )


def _refusal(value: object, datatype: Datatype) -> ProtocolError:
    rule = "whole numbers" if datatype == "UINT8" else "numbers"
    return ProtocolError(
        f"'data' of a {datatype} input must be {rule} in [0, 255]. Received: {shown(value)}"
    )


def _check_range(images: NDArray[np.float32] | NDArray[np.float64]) -> None:
    # Written so that a NaN, which compares as false and carries through min and max, is refused.
    low, high = images.min(), images.max()
    if not (low >= 0 and high <= 255):
        raise ProtocolError(
            f"Images must have values in [0, 255], neither scaled nor normalised before: the model "
            f"does that. Received values from {low:g} to {high:g}."
        )
