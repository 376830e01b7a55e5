"""Image tensors from a request's JSON numbers or raw bytes, with validation."""

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
    """Validate a request's shape, and return it as (N, H, W, 3).

    Raises:
        ProtocolError: It is not a list of integers, does not fit the model, or N is not in
            [1, max_rows].
    """
    wanted = [-1, *spec.row_shape]
    # In Python, a bool is an int too.
    if not isinstance(shape, list) or any(type(size) is not int for size in shape):
        raise ProtocolError(
            f"'shape' of input '{INPUT_NAME}' must be a list of integers, {wanted} with the "
            f"number of images instead of -1. Received: {shown(shape)}"
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
    """Return the bytes after the JSON part as images, without a copy if possible.

    Args:
        body: The whole body of the request.
        offset: Start of the tensor's bytes.
        byte_size: The request's `binary_data_size`.
        shape: (N, H, W, 3).
        datatype: Datatype of the model's input.
    Returns:
        [N, H, W, 3] uint8, or float32 in [0, 255]; read-only.
    Raises:
        ProtocolError: The sizes do not match, or a value is outside [0, 255].
    """
    dtype = _DTYPES[datatype]
    wanted = prod(shape) * dtype.itemsize
    if type(byte_size) is not int or byte_size != wanted:
        raise ProtocolError(
            f"'binary_data_size' must be {wanted} for shape {list(shape)} in {datatype}. "
            f"Received: {shown(byte_size)}"
        )
    if len(body) - offset != wanted:
        raise ProtocolError(
            f"'binary_data_size' is {wanted}, so {wanted} bytes must follow the JSON part. "
            f"Received: {len(body) - offset}. Check Inference-Header-Content-Length."
        )
    if datatype == "UINT8":
        return np.frombuffer(body, np.uint8, offset=offset).reshape(shape)
    floats = np.frombuffer(body, dtype, offset=offset).reshape(shape)
    _check_range(floats)
    # The floats may be unaligned, depending on the length of the JSON part.
    return np.require(floats, np.float32, "A")


def images_from_json(data: object, shape: Sequence[int], datatype: Datatype) -> Images:
    """Return JSON numbers, nested as `shape` or flat in row-major order, as images.

    Args:
        data: The request's `data`.
        shape: (N, H, W, 3).
        datatype: Datatype of the model's input.
    Returns:
        [N, H, W, 3] uint8, or float32 in [0, 255].
    Raises:
        ProtocolError: The data do not have this shape, or a value is not a number in [0, 255]
            (for UINT8: an integer).
    """
    values = _flat(data, shape)
    allowed = _JSON_TYPES[datatype]
    if not set(map(type, values)) <= allowed:
        raise _refusal(next(value for value in values if type(value) not in allowed), datatype)
    try:
        if datatype == "UINT8":
            return np.array(values, np.uint8).reshape(shape)
        # In float64, which distinguishes numbers too large for float32 from infinity.
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
        f"'data' of input '{INPUT_NAME}' must be nested as its shape {list(shape)}, or one flat "
        f"list of {prod(shape)} numbers."
    )


def _refusal(value: object, datatype: Datatype) -> ProtocolError:
    rule = "integers" if datatype == "UINT8" else "numbers"
    return ProtocolError(
        f"'data' of a {datatype} input must be {rule} in [0, 255]. Received: {shown(value)}"
    )


def _check_range(images: NDArray[np.float32] | NDArray[np.float64]) -> None:
    # `not (...)` also refuses NaN, which min and max propagate.
    low, high = images.min(), images.max()
    if not (low >= 0 and high <= 255):
        raise ProtocolError(
            f"Images must have values in [0, 255], without scaling or normalisation, which is part "
            f"of the model. Received values from {low:g} to {high:g}."
        )
