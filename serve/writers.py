"""Writers of results, one by one: a table on the screen, a JSON file, a CSV file."""

from __future__ import annotations

import codecs
import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from serve.atomic_file import atomic_file
from serve.prediction import is_marked
from serve.stream import Result

_LONGEST_PATH = 60
_LONGEST_NAME = 24


class Writer(Protocol):
    """A writer of results."""

    def add(self, result: Result) -> None:
        """Write one result."""


class Table:
    """A table on stdout, without files that have no answer.

    Args:
        paths: All paths, for the width of their column.
        labels: Class names of the model.
        is_labelled: Whether true classes are known.
        has_cues: Whether the model has cues.
        max_ticked: Limit above which answers are marked; None: none.
    """

    def __init__(
        self,
        paths: Sequence[str],
        labels: Sequence[str],
        is_labelled: bool,
        *,
        has_cues: bool = False,
        max_ticked: float | None = None,
    ) -> None:
        self._labels = labels
        self._is_labelled = is_labelled
        self._has_cues = has_cues
        self._max_ticked = max_ticked
        self._path_width = min(_LONGEST_PATH, max([len(shown(p)) for p in paths], default=0))
        self._name_width = min(_LONGEST_NAME, max(len("class"), *map(len, labels)))
        self._has_header = False

    def add(self, result: Result) -> None:
        """Print one line, after the header if it is the first."""
        if not result.predictions:
            return
        best, *others = result.predictions
        truth = ""
        if self._is_labelled and result.file.label_id is not None:
            truth = self._labels[result.file.label_id]
        if not self._has_header:
            self._has_header = True
            self._line("path", "class", "prob", "ticked", "truth", "others" if others else "")
        self._line(
            shown(result.file.path),
            best.class_name,
            f"{best.probability:.1%}",
            self._ticked(result),
            truth,
            ", ".join(f"{one.class_name} {one.probability:.1%}" for one in others),
        )

    def _ticked(self, result: Result) -> str:
        if result.ticked_share is None:
            return ""
        mark = " marked" if is_marked(result.ticked_share, self._max_ticked) else ""
        return f"{result.ticked_share:6.1%}{mark}"

    def _line(
        self, path: str, name: str, probability: str, ticked: str, truth: str, others: str
    ) -> None:
        width = self._name_width
        columns = [f"{path:{self._path_width}}", f"{name:{width}}", f"{probability:>6}"]
        ticked_width = len("100.0% marked") if self._max_ticked is not None else len("ticked")
        columns += [f"{ticked:{ticked_width}}"] if self._has_cues else []
        columns += [f"{truth:{width}}"] if self._is_labelled else []
        # `tqdm.write` keeps the progress bar intact.
        tqdm.write("  ".join([*columns, others]).rstrip(), file=sys.stdout)


class JsonFile:
    """A JSON object with the results under "files", written incrementally.

    Args:
        file: Open for writing.
        head: Entries before the results.
        labels: Class names of the model.
        max_ticked: Limit above which answers are marked; None: none.
    """

    def __init__(
        self,
        file: BinaryIO,
        head: dict[str, Any],
        labels: Sequence[str],
        *,
        max_ticked: float | None = None,
    ) -> None:
        self._file = file
        self._labels = labels
        self._max_ticked = max_ticked
        self._between = b"\n"
        self._write(_json(head)[:-1] + ', "files": [')

    def add(self, result: Result) -> None:
        """Write one result."""
        self._file.write(self._between)
        self._between = b",\n"
        self._write(_json(self._entry(result)))

    def close(self, tail: dict[str, Any]) -> None:
        """Complete the object with one or more further entries."""
        self._write("\n], " + _json(tail)[1:] + "\n")

    def _entry(self, result: Result) -> dict[str, Any]:
        entry: dict[str, Any] = {"path": result.file.path}
        if result.file.label_id is not None:
            entry["label"] = self._labels[result.file.label_id]
        if result.predictions:
            entry |= result.predictions[0].to_dict()
            entry["top"] = [one.to_dict() for one in result.predictions]
        if result.cues is not None:
            entry |= {"cues": result.cues, "ticked_share": result.ticked_share}
        if (marked := is_marked(result.ticked_share, self._max_ticked)) is not None:
            entry["marked"] = marked
        if result.overlay is not None:
            entry["overlay"] = result.overlay
        if result.error is not None:
            entry["error"] = result.error
        return entry

    def _write(self, text: str) -> None:
        # Surrogates, in names that are not valid Unicode, become JSON escapes.
        self._file.write(text.encode("utf-8", "backslashreplace"))


class CsvFile:
    """A CSV file with one row per image file.

    Args:
        file: Open for writing.
        k: Number of classes per file.
        labels: Class names of the model.
        cues: Names of the model's cues.
        max_ticked: Limit above which answers are marked; None: none.
    """

    def __init__(
        self,
        file: BinaryIO,
        k: int,
        labels: Sequence[str],
        *,
        cues: Sequence[str] = (),
        max_ticked: float | None = None,
    ) -> None:
        self._labels = labels
        self._cues = cues
        self._max_ticked = max_ticked
        self._k = min(k, len(labels))
        self._file = file
        further = [
            f"{name}_{at}" for at in range(2, self._k + 1) for name in ("class", "probability")
        ]
        names = ["path", "label", "class", "class_id", "probability", *further]
        names += ["ticked_share", *(f"cue_{cue}" for cue in cues)] if cues else []
        names += ["marked"] if max_ticked is not None else []
        _write_row(file, [*names, "overlay", "error"])

    def add(self, result: Result) -> None:
        """Write one row."""
        file, predictions = result.file, result.predictions
        row: list[object] = [
            file.path,
            "" if file.label_id is None else self._labels[file.label_id],
        ]
        if predictions:
            best = predictions[0]
            row += [best.class_name, best.class_id, best.probability]
            for one in predictions[1:]:
                row += [one.class_name, one.probability]
        else:
            row += [""] * (3 + 2 * (self._k - 1))
        if self._cues:
            shares = result.cues or {}
            row.append("" if result.ticked_share is None else result.ticked_share)
            row += [shares.get(cue, "") for cue in self._cues]
        if self._max_ticked is not None:
            marked = is_marked(result.ticked_share, self._max_ticked)
            row.append("" if marked is None else str(marked).lower())
        _write_row(self._file, [*row, result.overlay or "", result.error or ""])


def write_confusion(path: Path, confusion: NDArray[np.int64], labels: Sequence[str]) -> None:
    """Write counts [K, K] as a CSV file: a row per true class, a column per predicted class."""
    with atomic_file(path) as file:
        _write_row(file, ["true \\ answered", *labels])
        for name, counts in zip(labels, confusion.tolist(), strict=True):
            _write_row(file, [name, *counts])


def shown(path: str) -> str:
    """Escape the unprintable characters of a path."""
    if path.isprintable():
        return path
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in path)


def _write_row(file: BinaryIO, row: Sequence[object]) -> None:
    # File names need not be valid Unicode: their bytes are kept.
    text = codecs.getwriter("utf-8")(file, "surrogateescape")
    csv.writer(text, lineterminator="\n").writerow(row)


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
