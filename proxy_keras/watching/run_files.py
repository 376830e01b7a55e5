"""RunFiles: what the files of a run folder say, as JSON values."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import math
import os
import re
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SHEET = re.compile(r"proxies_([0-9]{4,9})\.png")
"""Pictures of proxies; a file that is being written has another name."""

MAX_BYTES = 64 * 2**20
"""Larger files are not read: no training writes one, and the page would not take it."""


@dataclass(frozen=True)
class Sheet:
    """A picture of the proxies of one step.

    Attributes:
        name: Name of the file in `sheets/`.
        epoch: The epoch at whose end the step ran, from 1.
        changed_ns: When the file was written, nanoseconds since 1970.
    """

    name: str
    epoch: int
    changed_ns: int


class RunFiles:
    """The files of a run folder, read anew when they change. Not for two threads at a time.

    The folder need not exist yet. While a file is there but cannot be read, what it said before
    holds, and `problems` has it. The last line of a table counts once it is ended.

    Args:
        folder: The run folder. Nothing is written to it.

    Attributes:
        problems: By the name of a file or folder, a sentence on why it cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.problems: dict[str, str] = {}
        self._read: dict[str, tuple[tuple[int, ...], Any]] = {}

    def settings(self) -> dict[str, Any] | None:
        """The content of `config.json`; None: the run has not begun."""
        return self._value("config.json", _json_object)

    def conditions(self) -> dict[str, Any] | None:
        """The content of `run.json`: versions, split, parameters."""
        return self._value("run.json", _json_object)

    def metrics(self) -> dict[str, Any] | None:
        """The content of `metrics.json`; None: the run has not ended."""
        return self._value("metrics.json", _json_object)

    def history(self) -> dict[str, list[float | None]]:
        """The columns of `history.csv` by name, `epoch` ascending; None for what is not finite."""
        return self._value("history.csv", _history) or {}

    def epoch_seconds(self) -> list[float | None]:
        """What each epoch took."""
        return (self._value("timing.csv", _columns) or {}).get("seconds", [])

    def per_class(self) -> dict[str, Any] | None:
        """Right answers on the validation split.

        Returns:
            `classes` [K], `images` [K] of each class, `epochs` [E], and `right` [E, K]; None: the
            run has no `val_per_class.csv`.
        """
        return self._value("val_per_class.csv", _counts)

    def sheets(self) -> list[Sheet]:
        """The pictures of proxies, the newest first."""
        found = []
        for entry in self._entries("sheets"):
            name = SHEET.fullmatch(entry.name)
            # A link may lead out of the folder.
            if name and entry.is_file(follow_symlinks=False):
                # It may be gone since the folder was listed.
                with contextlib.suppress(FileNotFoundError):
                    found.append(Sheet(entry.name, int(name[1]), entry.stat().st_mtime_ns))
        return sorted(found, key=lambda sheet: -sheet.epoch)

    def written_at(self, *names: str) -> float | None:
        """When the latest of some files and folders was written, seconds since 1970."""
        times = []
        for name in names:
            with contextlib.suppress(OSError):
                times.append((self.folder / name).stat().st_mtime)
        return max(times, default=None)

    def _entries(self, name: str) -> list[os.DirEntry[str]]:
        found: list[os.DirEntry[str]] = []
        self.problems.pop(name, None)
        try:
            with os.scandir(self.folder / name) as entries:
                found = list(entries)
        except (FileNotFoundError, NotADirectoryError):
            pass
        except OSError as error:
            self.problems[name] = f"{name} cannot be read: {error.strerror}."
        return found

    def _value(self, name: str, parse: Callable[[str], Any]) -> Any:
        known = self._read.get(name)
        try:
            found = (self.folder / name).stat()
            state = (found.st_mtime_ns, found.st_size, found.st_ino)
            if known is None or known[0] != state:
                known = (state, parse(_text(self.folder / name, found)))
        except (FileNotFoundError, NotADirectoryError):
            known = None
        except (OSError, ValueError, csv.Error, RecursionError) as error:
            why = f"{error.strerror}." if isinstance(error, OSError) else str(error)
            before = " What it said before is shown." if known else ""
            self.problems[name] = f"{name} cannot be read: {why}{before}"
            return known[1] if known else None
        self.problems.pop(name, None)
        if known is None:
            self._read.pop(name, None)
            return None
        self._read[name] = known
        return known[1]


def _text(path: Path, found: os.stat_result) -> str:
    # To open a pipe would wait for a writer.
    if not stat.S_ISREG(found.st_mode):
        raise ValueError("it is not a file.")
    if found.st_size > MAX_BYTES:
        raise ValueError(f"it has more than {MAX_BYTES // 2**20} MiB.")
    return path.read_text(encoding="utf-8")


def _json_object(text: str) -> dict[str, Any]:
    # As text, for the page's JSON has no NaN and no infinity.
    value = json.loads(text, parse_constant=str, parse_float=_finite_or_text)
    if not isinstance(value, dict):
        raise ValueError("it holds no JSON object.")
    return value


def _finite_or_text(text: str) -> float | str:
    return float(text) if math.isfinite(float(text)) else text


def _complete_lines(text: str) -> io.StringIO:
    """The lines of a table; without the last where it has no end yet, so may be cut in a number."""
    return io.StringIO(text[: text.rfind("\n") + 1], newline="")


def _columns(text: str) -> dict[str, list[float | None]]:
    names, *rows = list(csv.reader(_complete_lines(text))) or [[]]
    if any(len(row) != len(names) for row in rows):
        raise ValueError("its rows differ in length.")
    return {name: [_number(row[place]) for row in rows] for place, name in enumerate(names)}


def _history(text: str) -> dict[str, list[float | None]]:
    columns = _columns(text)
    if columns and "epoch" not in columns:
        raise ValueError("it has no column epoch.")
    epochs = columns.get("epoch", [])
    whole = [epoch for epoch in epochs if epoch is not None and float(epoch).is_integer()]
    if len(whole) < len(epochs) or whole != sorted(set(whole)):
        raise ValueError("its epochs are not whole numbers that rise.")
    return columns


def _number(text: str) -> float | None:
    # An empty field is how pandas writes a number that is none.
    value = float(text or "nan")
    if not math.isfinite(value):
        return None
    return int(value) if value.is_integer() else value


def _counts(text: str) -> dict[str, Any]:
    images: dict[int, list[tuple[str, int]]] = {}
    right: dict[int, list[int]] = {}
    try:
        for row in csv.DictReader(_complete_lines(text)):
            epoch = int(row["epoch"])
            images.setdefault(epoch, []).append((row["class"], int(row["images"])))
            right.setdefault(epoch, []).append(int(row["right"]))
    except (KeyError, TypeError) as error:
        raise ValueError("it lacks one of the columns epoch, class, images, right.") from error
    first = next(iter(images.values()), [])
    if any(of != first for of in images.values()):
        raise ValueError("its epochs differ in their classes or images.")
    return {
        "classes": [name for name, _ in first],
        "images": [count for _, count in first],
        "epochs": list(images),
        "right": list(right.values()),
    }
