"""A reader, without PyTorch, of tensors that `torch.save` wrote before PyTorch 1.6."""

from __future__ import annotations

import math
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

# The file holds five pickles (magic number, version, byte order, object, storage keys), then for
# each key the number of its elements, int64, and the elements.
_MAGIC = 0x1950A86A20F9469CFC6C
_VERSION = 1001
# As strings, because a pickle may change the state of an object such as a dtype.
_STORAGES = {
    "HalfStorage": "<f2",
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "IntStorage": "<i4",
    "LongStorage": "<i8",
}
# Errors that unpickling raises on damaged or malicious input.
_DAMAGED = (
    pickle.UnpicklingError,
    EOFError,
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    TypeError,
    ValueError,
)


class _Storage(NamedTuple):
    key: str
    dtype: str
    size: int


class _Tensor(NamedTuple):
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_tensors(path: str | Path) -> dict[str, NDArray[Any]]:
    """Return the tensors of a state dictionary, by name.

    A pickle is a program that can call anything it names. Here, it may name only an ordered
    dictionary and the parts of a tensor; anything else is refused before it is imported.

    Args:
        path: A `.pth` file with one dictionary of tensors, in the format before PyTorch 1.6.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It has another format, is damaged, or names something other than tensors.
    """
    path = Path(path)
    with path.open("rb") as file:
        if file.read(2) == b"PK":
            raise ValueError(
                f"{path} is in PyTorch's newer format, a zip archive. Save it again in PyTorch "
                "with torch.save(..., _use_new_zipfile_serialization=False)."
            )
        file.seek(0)
        try:
            return _read(file)
        except _DAMAGED as error:
            raise ValueError(
                f"{path} cannot be read as tensors saved before PyTorch 1.6: {error}. "
                "Download the file again."
            ) from error


def _read(file: BinaryIO) -> dict[str, NDArray[Any]]:
    magic, version, system = (_Unpickler(file).load() for _ in range(3))
    if (magic, version) != (_MAGIC, _VERSION) or not system["little_endian"]:
        raise ValueError("it does not begin as such a file does")
    state = _Unpickler(file).load()
    keys = _Unpickler(file).load()
    tensors = {name: value for name, value in state.items() if isinstance(value, _Tensor)}
    if len(tensors) < len(state):
        others = sorted(set(state) - set(tensors))
        raise ValueError(f"it holds more than tensors: {', '.join(others[:3])}")
    known = {tensor.storage.key: tensor.storage for tensor in tensors.values()}
    elements = {key: _elements(file, known[key]) for key in keys}
    return {name: _array(tensor, elements[tensor.storage.key]) for name, tensor in tensors.items()}


def _elements(file: BinaryIO, storage: _Storage) -> NDArray[Any]:
    count = int.from_bytes(file.read(8), "little")
    data = file.read(storage.size * np.dtype(storage.dtype).itemsize)
    elements = np.frombuffer(data, storage.dtype)
    if not count == storage.size == len(elements):
        raise ValueError(f"storage {storage.key} has not the {storage.size} elements announced")
    return elements


def _array(tensor: _Tensor, elements: NDArray[Any]) -> NDArray[Any]:
    # A tensor may be a transposed view of its storage, but must not exceed it.
    steps = zip(tensor.shape, tensor.strides, strict=True)
    stop = 1 + tensor.offset + sum((size - 1) * stride for size, stride in steps)
    lowest = min((tensor.offset, *tensor.shape, *tensor.strides))
    if lowest < 0 or max(stop, math.prod(tensor.shape)) > len(elements):
        raise ValueError(f"a tensor reaches outside of storage {tensor.storage.key}")
    strides = [stride * elements.itemsize for stride in tensor.strides]
    return as_strided(elements[tensor.offset :], tensor.shape, strides, writeable=False)


class _Unpickler(pickle.Unpickler):
    """An unpickler of dictionaries and tensor descriptions that refuses all other global names."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            # A new function each time, because a pickle may set attributes of its objects.
            return lambda *parts: _tensor(*parts)
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        raise pickle.UnpicklingError(f"it names {module}.{name}, which is no part of a tensor")

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, _, count, view = pid
        if kind != "storage" or dtype not in _STORAGES.values() or view is not None:
            raise pickle.UnpicklingError(f"it refers to a {kind}, which is no whole storage")
        return _Storage(key, dtype, count)


def _tensor(
    storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any
) -> _Tensor:
    return _Tensor(storage, offset, shape, strides)
