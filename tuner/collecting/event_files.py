"""A reader of the scalars in TensorBoard event files, without TensorFlow."""

from __future__ import annotations

import itertools
import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from tensorboard.compat.proto import event_pb2
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import (
    masked_crc32c,
)
from tensorboard.util.tensor_util import make_ndarray

_HEADER = struct.Struct("<QI")
_FOOTER_LENGTH = 4
_FIRST_RECORDS = 100


@dataclass
class Scalars:
    """Content of one or more event files.

    Attributes:
        series: Values by step of each scalar, by (folder, tag). If a resumed run wrote a step
            twice, the later value is kept.
        first: Time of the first event, in seconds since 1970; None without events.
        last: Time of the last event.
    """

    series: dict[tuple[str, str], dict[int, float]] = field(default_factory=dict)
    first: float | None = None
    last: float | None = None


def folder_names(files: Sequence[Path]) -> dict[Path, str]:
    """Return names for the folders of event files.

    Their paths relative to the folder that contains them all; the name of that folder itself.
    """
    folders = {file.parent for file in files}
    root = Path(os.path.commonpath(folders)) if folders else Path()
    return {f: root.name if f == root else f.relative_to(root).as_posix() for f in folders}


def first_tags(file: Path) -> set[str]:
    """Return the tags of the first records of an event file.

    Raises:
        ValueError: The file is damaged.
        OSError: The file cannot be read.
    """
    tags: set[str] = set()
    for record in itertools.islice(_records(file), _FIRST_RECORDS):
        tags |= {value.tag for value in _event(record, file).summary.value}
    return tags


def read_scalars(files: Sequence[Path]) -> Scalars:
    """Return the scalars of event files, by the names of `folder_names`.

    A truncated record at the end of a file, as of a run in progress, is ignored.

    Raises:
        ValueError: A file is damaged.
        OSError: A file cannot be read.
    """
    scalars = Scalars()
    names = folder_names(files)
    plain: set[tuple[str, str]] = set()
    # File names contain the start time, so later files sort last.
    for file in sorted(files):
        for record in _records(file):
            event = _event(record, file)
            time = event.wall_time
            scalars.first = time if scalars.first is None else min(scalars.first, time)
            scalars.last = time if scalars.last is None else max(scalars.last, time)
            for value in event.summary.value:
                key = (names[file.parent], value.tag)
                # Only the first value of a tag names its plugin.
                if value.metadata.plugin_data.plugin_name == "scalars":
                    plain.add(key)
                try:
                    number = _number(value, is_scalar=key in plain)
                except (TypeError, ValueError):
                    raise ValueError(f"{file.name}: {value.tag!r} is not a number.") from None
                if number is not None:
                    scalars.series.setdefault(key, {})[event.step] = number
    return scalars


def _event(record: bytes, file: Path) -> Any:
    try:
        return event_pb2.Event.FromString(record)
    except DecodeError:
        raise ValueError(f"{file.name} has a record that is not an event.") from None


def _number(value: Any, *, is_scalar: bool) -> float | None:
    """Return the number of a scalar in the old or new format; None for other values."""
    if value.HasField("simple_value"):
        return _shortest(np.float32(value.simple_value))
    if value.HasField("tensor") and is_scalar:
        return _shortest(make_ndarray(value.tensor)[()])
    return None


def _shortest(value: Any) -> float:
    """Return the shortest decimal of a float32: 0.7, not 0.699999988."""
    return float(str(value))


def _records(path: Path) -> Iterator[bytes]:
    """Yield the records of a file in TFRecord format: length, checksum, content, checksum.

    Only the checksum of the length is verified. In Python, those of the content take minutes for
    the graphs and images between the scalars.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        while (length := _length(file, path.name)) is not None:
            if file.tell() + length + _FOOTER_LENGTH > size:
                return
            yield file.read(length)
            file.seek(_FOOTER_LENGTH, 1)


def _length(file: BinaryIO, name: str) -> int | None:
    """Return the length of the next record; None at the end of the file."""
    start = file.tell()
    header = file.read(_HEADER.size)
    if len(header) < _HEADER.size:
        return None
    length, checksum = _HEADER.unpack(header)
    if masked_crc32c(header[:8]) != checksum:
        raise ValueError(f"{name} is damaged at byte {start}.")
    return int(length)
