"""Tensors are read from PyTorch's old files without PyTorch, and nothing else is run."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from proxy_keras.models import legacy_torch
from proxy_keras.models.legacy_torch import read_tensors

# Opcodes of the pickle machine.
MARK, TUPLE, REDUCE, SET_ITEMS, BUILD, PERSISTENT = b"(", b"t", b"R", b"u", b"b", b"Q"
NONE, FALSE, NO_ARGUMENTS, BEGIN, END = b"N", b"\x89", b")", b"\x80\x02", b"."


def named(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def pushed(value: Any) -> bytes:
    return pickle.dumps(value, protocol=2)[len(BEGIN) : -len(END)]


EMPTY = named("collections", "OrderedDict") + NO_ARGUMENTS + REDUCE


def tensor(
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    *,
    offset: int = 0,
    key: str = "7",
    count: int = 6,
    storage: bytes = named("torch", "FloatStorage"),
    view: bytes = NONE,
) -> bytes:
    """What PyTorch writes of a tensor, its elements left out."""
    where = pushed("storage") + storage + pushed(key) + pushed("cpu") + pushed(count) + view
    about = pushed(offset) + pushed(shape) + pushed(strides) + FALSE + EMPTY
    rebuild = named("torch._utils", "_rebuild_tensor_v2")
    return rebuild + MARK + MARK + where + TUPLE + PERSISTENT + about + TUPLE + REDUCE


def state(entries: Mapping[str, bytes]) -> bytes:
    items = b"".join(pushed(name) + value for name, value in entries.items())
    metadata = pushed({"_metadata": {"": {"version": 1}}})
    return EMPTY + MARK + items + SET_ITEMS + metadata + BUILD


ELEMENTS = {"7": np.arange(6, dtype="<f4")}


def write(path: Path, dictionary: bytes, storages: Mapping[str, Any] = ELEMENTS) -> Path:
    """A file as `torch.save` wrote it before PyTorch 1.6."""
    header = (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})
    parts = [pickle.dumps(value, protocol=2) for value in header]
    parts += [BEGIN + dictionary + END, pickle.dumps(list(storages), protocol=2)]
    for elements in storages.values():
        parts += [len(elements).to_bytes(8, "little"), elements.tobytes()]
    path.write_bytes(b"".join(parts))
    return path


def test_tensors_are_read(tmp_path: Path) -> None:
    longs = named("torch", "LongStorage")
    entries = {
        "rows": tensor((2, 3), (3, 1)),
        "columns": tensor((3, 2), (1, 3)),
        "tail": tensor((2,), (1,), offset=4),
        "steps": tensor((), (), key="8", count=1, storage=longs),
    }
    storages = {**ELEMENTS, "8": np.array([9], "<i8")}
    tensors = read_tensors(write(tmp_path / "a.pth", state(entries), storages))
    assert list(tensors) == ["rows", "columns", "tail", "steps"]
    assert tensors["rows"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert tensors["columns"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert tensors["tail"].tolist() == [4, 5]
    assert tensors["steps"].item() == 9 and tensors["steps"].dtype == np.int64


@pytest.mark.parametrize(
    ("module", "name"),
    [("os", "mkdir"), ("builtins", "eval"), ("torch", "load"), ("collections", "namedtuple")],
)
def test_a_pickle_that_names_something_else_is_refused(
    tmp_path: Path, module: str, name: str
) -> None:
    call = named(module, name) + MARK + pushed(str(tmp_path / "made")) + TUPLE + REDUCE
    message = f"names {module}.{name}, which is no part of a tensor"
    for dictionary in (call, state({"a": call}), state({"a": named(module, name)})):
        with pytest.raises(ValueError, match=message):
            read_tensors(write(tmp_path / "a.pth", dictionary))
    # The header is a pickle, too.
    (tmp_path / "b.pth").write_bytes(BEGIN + call + END)
    with pytest.raises(ValueError, match=message):
        read_tensors(tmp_path / "b.pth")
    assert not (tmp_path / "made").exists()


def test_a_pickle_cannot_change_what_reads_it(tmp_path: Path) -> None:
    allowed_names = (
        named("collections", "OrderedDict"),
        named("torch", "FloatStorage"),
        named("torch._utils", "_rebuild_tensor_v2"),
    )
    for allowed in allowed_names:
        change = allowed + NONE + pushed({"items": 1}) + b"\x86" + BUILD
        with pytest.raises(ValueError, match="cannot be read as tensors"):
            read_tensors(write(tmp_path / "a.pth", state({"a": change})))
    assert not vars(legacy_torch._tensor)
    assert read_tensors(write(tmp_path / "b.pth", state({"a": tensor((6,), (1,))})))["a"][5] == 5


@pytest.mark.parametrize(
    "entry",
    [
        tensor((7,), (1,)),
        tensor((2,), (1,), offset=5),
        tensor((3,), (3,)),
        tensor((2,), (-1,), offset=1),
        tensor((2,), (1,), offset=-1),
        tensor((6, 6), (1, 0)),
        tensor((6,), (1, 1)),
        tensor((6,), (1,), count=5),
        tensor((6,), (1,), key="8"),
        tensor((6,), (1,), view=pushed(("8", 0, 6))),
        tensor((6,), (1,), storage=pushed("<f4x")),
        pushed(3),
    ],
    ids=[
        "longer than its storage",
        "ends behind it",
        "steps behind it",
        "steps backwards",
        "starts before it",
        "repeats it",
        "other dimensions",
        "other count",
        "no such storage",
        "view of another storage",
        "unknown type",
        "no tensor",
    ],
)
def test_a_tensor_that_is_not_as_announced_is_refused(tmp_path: Path, entry: bytes) -> None:
    with pytest.raises(ValueError, match="cannot be read as tensors"):
        read_tensors(write(tmp_path / "a.pth", state({"a": entry})))


def test_damaged_and_other_files_are_refused(tmp_path: Path) -> None:
    whole = write(tmp_path / "a.pth", state({"a": tensor((6,), (1,))})).read_bytes()
    for length in (0, 5, len(whole) // 2, len(whole) - 1):
        (tmp_path / "b.pth").write_bytes(whole[:length])
        with pytest.raises(ValueError, match="cannot be read as tensors"):
            read_tensors(tmp_path / "b.pth")
    (tmp_path / "c.pth").write_bytes(b"PK\x03\x04")
    with pytest.raises(ValueError, match="newer format"):
        read_tensors(tmp_path / "c.pth")
