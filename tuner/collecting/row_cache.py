"""Rows that have been read before, so that only new and changed runs are read."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from proxy_keras.io.atomic_files import write_text_atomically
from tuner.collecting.columns import Row

NAME = ".aggregate.json"
"""The file's name where none is given, in the first folder that is searched."""

_KIND = "rows of proxy attention runs"
_HEAD = json.dumps({"kind": _KIND}).removesuffix("}").encode()
"""How each of these files begins, by which a damaged one is told from a file of other people."""

_VERSION = 1
"""To be raised when a row gets other content: rows of older files are read anew."""

Stamp = list[list[Any]]
"""For each file of a run its name, time of change and size."""


def stamp(folder: Path, files: Sequence[Path]) -> Stamp:
    """What changes when a file of a run does; files that are absent are left out."""
    states = [(file, file.stat()) for file in files if file.exists()]
    return [[f.relative_to(folder).as_posix(), s.st_mtime_ns, s.st_size] for f, s in states]


class RowCache:
    """The rows of runs, by folder and stamp, in one JSON file.

    Folders are noted relative to that file, so that runs may be moved together with it.

    Args:
        path: The file. Damaged content is set aside as `FILE.damaged` if the file begins as a
            cache does or has its usual name.

    Attributes:
        remark: What went wrong and was mended, in a sentence; empty: nothing.

    Raises:
        ValueError: The file exists and is something else.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._root = path.resolve().parent
        self.remark = ""
        self._entries = self._load()
        self._is_changed = False

    def get(self, folder: Path, stamp: Stamp) -> Row | None:
        """The row of a run; None: it is new, or has changed."""
        entry = self._entries.get(self._key(folder))
        if entry is None or entry["stamp"] != stamp:
            return None
        return dict(entry["row"])

    def put(self, folder: Path, stamp: Stamp, row: Row) -> None:
        """Notes the row of a run."""
        self._entries[self._key(folder)] = {"stamp": stamp, "row": row}
        self._is_changed = True

    def save(self) -> None:
        """Writes the file if there is anything new; runs that are no longer there are dropped."""
        kept = {key: e for key, e in self._entries.items() if (self._root / key).is_dir()}
        if not self._is_changed and len(kept) == len(self._entries):
            return
        content = {"kind": _KIND, "version": _VERSION, "runs": kept}
        try:
            write_text_atomically(self._path, json.dumps(content) + "\n")
        except OSError as error:
            self._remark(f"The rows could not be kept for the next time: {error}.")

    def _key(self, folder: Path) -> str:
        return os.path.relpath(folder, self._root)

    def _load(self) -> dict[str, Any]:
        if not self._root.is_dir():
            raise ValueError(f"--cache: there is no folder {str(self._path.parent)!r}.")
        if not self._path.exists():
            return {}
        if not self._path.is_file():
            raise ValueError(f"--cache: {self._path} is no file.")
        try:
            content = json.loads(self._path.read_text(encoding="utf-8"))
        except ValueError:
            if self._path.name == NAME or self._path.read_bytes().startswith(_HEAD):
                return self._set_aside()
            content = None
        if not isinstance(content, dict) or content.get("kind") != _KIND:
            raise ValueError(
                f"--cache must be a new file or one that `tuner.aggregate` keeps rows in; "
                f"{self._path} holds something else, and would be overwritten. Name another file."
            )
        if content.get("version") != _VERSION:
            return {}
        runs = content.get("runs")
        return runs if isinstance(runs, dict) and _are_sound(runs) else self._set_aside()

    def _set_aside(self) -> dict[str, Any]:
        aside = self._path.with_name(f"{self._path.name}.damaged")
        os.replace(self._path, aside)
        self._remark(f"{self._path} was damaged. It is now {aside.name}; all runs were read.")
        return {}

    def _remark(self, sentence: str) -> None:
        self.remark = f"{self.remark} {sentence}".strip()


def _are_sound(runs: dict[str, Any]) -> bool:
    return all(
        isinstance(entry, dict)
        and isinstance(entry.get("stamp"), list)
        and isinstance(entry.get("row"), dict)
        and isinstance(entry["row"].get("status"), str)
        for entry in runs.values()
    )
