"""The scalars in TensorBoard event files, read without TensorFlow."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from tensorboard.compat.proto import event_pb2  # type: ignore[import-untyped]
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import (  # type: ignore[import-untyped]
    masked_crc32c,
)
from tensorboard.util.tensor_util import make_ndarray  # type: ignore[import-untyped]

_HEADER = struct.Struct("<QI")
_FOOTER_LENGTH = 4


@dataclass
class Scalars:
    """What one or more event files hold.

    Attributes:
        series: For each scalar of each folder, by (folder name, tag): its values by step. Where
            a step was written twice, by a run that went on, the later one counts.
        first: Time of the first event, seconds since 1970; None: there is none.
        last: Time of the last event.
    """

    series: dict[tuple[str, str], dict[int, float]] = field(default_factory=dict)
    first: float | None = None
    last: float | None = None


def read_scalars(files: Sequence[Path]) -> Scalars:
    """The scalars of event files.

    A record that is cut off at the end of a file, as in a run that still writes, is left out.

    Raises:
        ValueError: A file is damaged.
        OSError: A file cannot be read.
    """
    scalars = Scalars()
    plain: set[tuple[str, str]] = set()
    # Names hold the time at which a file was begun: what a run wrote later comes later.
    for file in sorted(files):
        for record in _records(file):
            try:
                event = event_pb2.Event.FromString(record)
            except DecodeError:
                raise ValueError(f"{file.name} holds a record that is no event.") from None
            time = event.wall_time
            scalars.first = time if scalars.first is None else min(scalars.first, time)
            scalars.last = time if scalars.last is None else max(scalars.last, time)
            for value in event.summary.value:
                key = (file.parent.name, value.tag)
                # The kind is told with the first value of a tag only.
                if value.metadata.plugin_data.plugin_name == "scalars":
                    plain.add(key)
                try:
                    number = _number(value, is_scalar=key in plain)
                except (TypeError, ValueError):
                    raise ValueError(f"{file.name}: {value.tag!r} is no number.") from None
                if number is not None:
                    scalars.series.setdefault(key, {})[event.step] = number
    return scalars


def _number(value: Any, *, is_scalar: bool) -> float | None:
    """The number of a scalar, in the old style or the new; None: it is something else."""
    if value.HasField("simple_value"):
        return _shortest(np.float32(value.simple_value))
    if value.HasField("tensor") and is_scalar:
        return _shortest(make_ndarray(value.tensor)[()])
    return None


def _shortest(value: Any) -> float:
    """A number as it was meant: 0.7 for the float32 next to it, not 0.699999988."""
    return float(str(value))


def _records(path: Path) -> Iterator[bytes]:
    """The records of a file, in TensorFlow's framing: length, its checksum, content, its checksum.

    Only the length is checked: checksums in Python take minutes for the graphs and pictures that
    lie between the scalars.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        while (length := _length(file, path.name)) is not None:
            if file.tell() + length + _FOOTER_LENGTH > size:
                return
            yield file.read(length)
            file.seek(_FOOTER_LENGTH, 1)


def _length(file: BinaryIO, name: str) -> int | None:
    """The length of the next record; None: the file ends here."""
    start = file.tell()
    header = file.read(_HEADER.size)
    if len(header) < _HEADER.size:
        return None
    length, checksum = _HEADER.unpack(header)
    if masked_crc32c(header[:8]) != checksum:
        raise ValueError(f"{name} is damaged at byte {start}.")
    return int(length)
