"""SplitTable: the split of each example, saved with its hash and never redrawn."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from proxy_keras.data.records import SPLITS, Skipped
from proxy_keras.io.atomic_files import write_atomically

SPLIT_FILE = "split.csv"
HASH_FILE = "split.sha256"
LABELS_FILE = "labels.json"
SKIPPED_FILE = "skipped.csv"

_COLUMNS = ("example_id", "path", "label", "split", "content_hash")
_FOLD_COLUMN = "fold"
_SHOWN = 3


@dataclass(frozen=True)
class SplitTable:
    """One row per example, sorted by example id.

    Attributes:
        example_ids: [N] unique; the start of the content hash, so renaming a file keeps its id.
        paths: [N] see `Record.path`.
        labels: [N] class names.
        splits: [N] "train", "val" or "test".
        content_hashes: [N] see `records.content_hash`.
        classes: Class names by class id.
        folds: [N] the fold of each example, None for test examples; None without folds.
    """

    example_ids: tuple[str, ...]
    paths: tuple[str, ...]
    labels: tuple[str, ...]
    splits: tuple[str, ...]
    content_hashes: tuple[str, ...]
    classes: tuple[str, ...]
    folds: tuple[int | None, ...] | None = None

    def __post_init__(self) -> None:
        columns = [self.paths, self.labels, self.splits, self.content_hashes, self.folds]
        if any(len(column) != len(self) for column in columns if column is not None):
            raise ValueError("The columns of a split table must have the same length.")
        if any(one >= following for one, following in pairwise(self.example_ids)):
            raise ValueError("The example ids of a split table must be unique and sorted.")
        if unknown := set(self.splits) - set(SPLITS):
            raise ValueError(f"A split must be train, val or test. Received: {sorted(unknown)}")
        if unknown := set(self.labels) - set(self.classes):
            raise ValueError(f"These labels are not among the classes: {sorted(unknown)[:_SHOWN]}")

    def __len__(self) -> int:
        """The number of examples."""
        return len(self.example_ids)

    def rows(self, split: str) -> NDArray[np.int64]:
        """Return the positions of a split's examples in the table: [n] int64, ascending."""
        return np.flatnonzero(np.array(self.splits, dtype=object) == split).astype(np.int64)

    def ids(self, split: str) -> list[str]:
        """Return the example ids of a split, sorted."""
        return [id_ for id_, of in zip(self.example_ids, self.splits, strict=True) if of == split]

    @cached_property
    def class_ids(self) -> NDArray[np.int32]:
        """The class id of each example: [N] int32."""
        class_id_of = {name: class_id for class_id, name in enumerate(self.classes)}
        return np.array([class_id_of[label] for label in self.labels], np.int32)

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the table as `save` writes it, in hex."""
        return hashlib.sha256(self._csv_bytes()).hexdigest()

    def check_matches(self, other: SplitTable) -> None:
        """Check that another table has the same examples, with the same labels and splits.

        Paths may differ: a renamed file is the same example.

        Raises:
            ValueError: Examples are missing, new or changed; the message names a few of them.
        """
        mine, theirs = self._facts(), other._facts()
        differences = {
            "missing": sorted(mine.keys() - theirs.keys()),
            "new": sorted(theirs.keys() - mine.keys()),
            "changed": sorted(id_ for id_ in mine.keys() & theirs if mine[id_] != theirs[id_]),
        }
        if not any(differences.values()):
            return
        path_of = dict(zip(self.example_ids, self.paths, strict=True))
        path_of.update(zip(other.example_ids, other.paths, strict=True))
        found = []
        for kind, ids in differences.items():
            if ids:
                names = first_few([f"{id_} ({path_of[id_]})" for id_ in ids])
                found.append(f"{len(ids)} {kind}: {names}")
        raise ValueError(
            f"The data no longer match the saved split: {'; '.join(found)}. Restore the original "
            "data, or draw a new split for a new run."
        )

    def with_paths_of(self, other: SplitTable) -> SplitTable:
        """Return this table with the paths of another one, which must match."""
        self.check_matches(other)
        return replace(self, paths=other.paths)

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write split.csv, its hash split.sha256, and labels.json (class names by class id).

        Args:
            folder: Created if missing.

        Raises:
            FileExistsError: The folder already holds another split.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        hash_file = folder / HASH_FILE
        if hash_file.exists():
            self._check_same_as_saved(folder)
            # Without its hash the split counts as incomplete, so a crash from here on cannot leave
            # a table with the hash of another one.
            hash_file.unlink()
        labels = json.dumps(list(self.classes), indent=1) + "\n"
        write_atomically(folder / LABELS_FILE, lambda path: path.write_text(labels, "utf-8"))
        write_atomically(folder / SPLIT_FILE, lambda path: path.write_bytes(self._csv_bytes()))
        write_atomically(hash_file, lambda path: path.write_text(self.sha256 + "\n", "utf-8"))

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> SplitTable:
        """Load the table that `save` wrote.

        Raises:
            FileNotFoundError: A file is missing, for instance because `save` was interrupted.
            ValueError: split.csv has changed since it was saved.
        """
        folder = Path(folder)
        for name in (SPLIT_FILE, HASH_FILE, LABELS_FILE):
            if not (folder / name).is_file():
                raise FileNotFoundError(
                    f"{str(folder)!r} has no complete split: {name} is missing. Pass the folder "
                    "of a run, or draw a new split."
                )
        written = (folder / SPLIT_FILE).read_bytes()
        expected = (folder / HASH_FILE).read_text("utf-8").strip()
        if hashlib.sha256(written).hexdigest() != expected:
            raise ValueError(
                f"{folder / SPLIT_FILE} has changed since it was saved: its SHA-256 is not the one "
                f"in {HASH_FILE}. Restore the file; a split must not be edited."
            )
        classes = json.loads((folder / LABELS_FILE).read_text("utf-8"))
        header, *rows = _parse_csv(written)
        columns = {name: tuple(row[at] for row in rows) for at, name in enumerate(header)}
        folds = columns.get(_FOLD_COLUMN, ())
        return cls(
            example_ids=columns["example_id"],
            paths=columns["path"],
            labels=columns["label"],
            splits=columns["split"],
            content_hashes=columns["content_hash"],
            classes=tuple(classes),
            folds=tuple(int(fold) if fold else None for fold in folds) or None,
        )

    def _check_same_as_saved(self, folder: Path) -> None:
        try:
            self.check_matches(SplitTable.load(folder))
        except ValueError as error:
            raise FileExistsError(
                f"{str(folder)!r} already holds another split, and a split is never redrawn. "
                f"Choose another folder. ({error})"
            ) from error

    def _facts(self) -> dict[str, tuple[str, str, str]]:
        columns = (self.labels, self.splits, self.content_hashes)
        return dict(zip(self.example_ids, zip(*columns, strict=True), strict=True))

    def _csv_bytes(self) -> bytes:
        header: tuple[str, ...] = _COLUMNS
        columns: list[Sequence[object]] = [
            self.example_ids,
            self.paths,
            self.labels,
            self.splits,
            self.content_hashes,
        ]
        if self.folds is not None:
            header += (_FOLD_COLUMN,)
            columns.append(self.folds)
        return _to_csv([header, *zip(*columns, strict=True)])


def first_few(items: Sequence[object]) -> str:
    """Join the first items with commas; "..." marks more."""
    return ", ".join(map(str, items[:_SHOWN])) + (", ..." if len(items) > _SHOWN else "")


def save_skipped(folder: str | os.PathLike[str], skipped: Iterable[Skipped]) -> None:
    """Write skipped.csv: the path and the reason of every image that was left out."""
    content = _to_csv([("path", "reason"), *((item.path, item.reason) for item in skipped)])
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / SKIPPED_FILE, lambda path: path.write_bytes(content))


# File names may be invalid Unicode: `surrogateescape` preserves their bytes.
def _to_csv(rows: Iterable[Sequence[object]]) -> bytes:
    text = io.StringIO(newline="")
    # Quote all text, because names may contain commas, quotes and line breaks.
    csv.writer(text, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n").writerows(rows)
    return text.getvalue().encode("utf-8", "surrogateescape")


def _parse_csv(content: bytes) -> list[list[str]]:
    text = io.StringIO(content.decode("utf-8", "surrogateescape"), newline="")
    return list(csv.reader(text))
