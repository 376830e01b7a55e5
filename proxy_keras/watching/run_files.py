"""The files of a run folder as JSON values."""

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
"""Names of proxy sheets; files that are being written have other names."""

MAX_BYTES = 64 * 2**20
"""Larger files are not read: no run writes them, and the page could not show them."""


@dataclass(frozen=True)
class Sheet:
    """An image of the proxies of one step.

    Attributes:
        name: File name in `sheets/`.
        epoch: The epoch after which the step ran, from 1.
        changed_ns: Modification time in nanoseconds since 1970.
    """

    name: str
    epoch: int
    changed_ns: int


class RunFiles:
    """The files of a run folder, read again when they change. Not thread-safe.

    The folder need not exist yet. If a file exists but cannot be read, its last content is kept and
    the reason is in `problems`. The last line of a table is ignored until it is complete.

    Args:
        folder: The run folder; it is only read.

    Attributes:
        problems: Why files or folders cannot be read, by name.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.problems: dict[str, str] = {}
        self._read: dict[str, tuple[tuple[int, ...], Any]] = {}

    def settings(self) -> dict[str, Any] | None:
        """Return the content of `config.json`; None if the run has not started."""
        return self._value("config.json", _json_object)

    def conditions(self) -> dict[str, Any] | None:
        """Return the content of `run.json`: versions, split, parameters."""
        return self._value("run.json", _json_object)

    def metrics(self) -> dict[str, Any] | None:
        """Return the content of `metrics.json`; None if the run has not finished."""
        return self._value("metrics.json", _json_object)

    def history(self) -> dict[str, list[float | None]]:
        """Return the columns of `history.csv` by name, `epoch` ascending; None if not finite."""
        return self._value("history.csv", _history) or {}

    def epoch_seconds(self) -> list[float | None]:
        """Return the time of each epoch."""
        return (self._value("timing.csv", _columns) or {}).get("seconds", [])

    def per_class(self) -> dict[str, Any] | None:
        """Return the correct predictions per class on the validation split.

        Returns:
            `classes` [K], `images` [K], `epochs` [E] and `right` [E, K]; None if the run has no
            `val_per_class.csv`.
        """
        return self._value("val_per_class.csv", _counts)

    def sheets(self) -> list[Sheet]:
        """Return the proxy sheets, newest first."""
        found = []
        for entry in self._entries("sheets"):
            name = SHEET.fullmatch(entry.name)
            # A symbolic link may point outside the folder.
            if name and entry.is_file(follow_symlinks=False):
                # The file may have been deleted since the listing.
                with contextlib.suppress(FileNotFoundError):
                    found.append(Sheet(entry.name, int(name[1]), entry.stat().st_mtime_ns))
        return sorted(found, key=lambda sheet: -sheet.epoch)

    def written_at(self, *names: str) -> float | None:
        """Return the latest modification time of files and folders, seconds since 1970."""
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
            self.problems[name] = f"Cannot read {name}: {error.strerror}."
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
            before = " Its last content is shown." if known else ""
            self.problems[name] = f"Cannot read {name}: {why}{before}"
            return known[1] if known else None
        self.problems.pop(name, None)
        if known is None:
            self._read.pop(name, None)
            return None
        self._read[name] = known
        return known[1]


def _text(path: Path, found: os.stat_result) -> str:
    # Opening a named pipe would block.
    if not stat.S_ISREG(found.st_mode):
        raise ValueError("it is not a regular file.")
    if found.st_size > MAX_BYTES:
        raise ValueError(f"it is larger than {MAX_BYTES // 2**20} MiB.")
    return path.read_text(encoding="utf-8")


def _json_object(text: str) -> dict[str, Any]:
    # JSON has no NaN and infinity, so they become text.
    value = json.loads(text, parse_constant=str, parse_float=_finite_or_text)
    if not isinstance(value, dict):
        raise ValueError("it is not a JSON object.")
    return value


def _finite_or_text(text: str) -> float | str:
    return float(text) if math.isfinite(float(text)) else text


def _complete_lines(text: str) -> io.StringIO:
    """Return the lines of a table without a last line that is still being written."""
    return io.StringIO(text[: text.rfind("\n") + 1], newline="")


def _columns(text: str) -> dict[str, list[float | None]]:
    names, *rows = list(csv.reader(_complete_lines(text))) or [[]]
    if any(len(row) != len(names) for row in rows):
        raise ValueError("its rows have different lengths.")
    return {name: [_number(row[place]) for row in rows] for place, name in enumerate(names)}


def _history(text: str) -> dict[str, list[float | None]]:
    columns = _columns(text)
    if columns and "epoch" not in columns:
        raise ValueError("it has no column 'epoch'.")
    epochs = columns.get("epoch", [])
    whole = [epoch for epoch in epochs if epoch is not None and float(epoch).is_integer()]
    if len(whole) < len(epochs) or whole != sorted(set(whole)):
        raise ValueError("its epochs are not increasing integers.")
    return columns


def _number(text: str) -> float | None:
    # pandas writes NaN as an empty field.
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
        raise ValueError("a column of epoch, class, images, right is missing.") from error
    first = next(iter(images.values()), [])
    if any(of != first for of in images.values()):
        raise ValueError("its epochs have different classes or images.")
    return {
        "classes": [name for name, _ in first],
        "images": [count for _, count in first],
        "epochs": list(images),
        "right": list(right.values()),
    }
