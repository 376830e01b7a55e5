"""A cache of rows, so that only new and changed runs are read."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from proxy_keras.io.atomic_files import write_text_atomically
from tuner.collecting.columns import Row

NAME = ".aggregate.json"
"""Default file name, in the first searched folder."""

_KIND = "rows of proxy attention runs"
_HEAD = json.dumps({"kind": _KIND}).removesuffix("}").encode()
"""The start of every cache file, which distinguishes a damaged one from other files."""

_VERSION = 2
"""Increase this when the content of rows changes, so that all rows are read again."""

Stamp = list[list[Any]]
"""Name, modification time and size of each file of a run."""


def stamp(folder: Path, files: Sequence[Path]) -> Stamp:
    """Return the stamp of a run, which changes with its files; missing files are left out."""
    states = [(file, file.stat()) for file in files if file.exists()]
    return [[f.relative_to(folder).as_posix(), s.st_mtime_ns, s.st_size] for f, s in states]


class RowCache:
    """Rows of runs in one JSON file, by folder and stamp.

    Folders are relative to that file, so that runs can be moved together with it.

    Args:
        path: The cache file. A damaged file is renamed to `FILE.damaged` if it starts like a cache
            or has the default name.

    Attributes:
        warning: Problems with the file, in sentences; may be empty.

    Raises:
        ValueError: The file exists and is not a cache.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._root = path.resolve().parent
        self.warning = ""
        self._entries = self._load()
        self._is_changed = False

    def get(self, folder: Path, stamp: Stamp) -> Row | None:
        """Return the row of a run; None if the run is new or has changed."""
        entry = self._entries.get(self._key(folder))
        if entry is None or entry["stamp"] != stamp:
            return None
        return dict(entry["row"])

    def put(self, folder: Path, stamp: Stamp, row: Row) -> None:
        """Store the row of a run."""
        self._entries[self._key(folder)] = {"stamp": stamp, "row": row}
        self._is_changed = True

    def save(self) -> None:
        """Write the file if it has changed, without runs that no longer exist."""
        kept = {key: e for key, e in self._entries.items() if (self._root / key).is_dir()}
        if not self._is_changed and len(kept) == len(self._entries):
            return
        content = {"kind": _KIND, "version": _VERSION, "runs": kept}
        try:
            write_text_atomically(self._path, json.dumps(content) + "\n")
        except OSError as error:
            self._warn(f"The cache could not be written: {error}.")

    def _key(self, folder: Path) -> str:
        return os.path.relpath(folder, self._root)

    def _load(self) -> dict[str, Any]:
        if not self._root.is_dir():
            raise ValueError(f"--cache: the folder {str(self._path.parent)!r} does not exist.")
        if not self._path.exists():
            return {}
        if not self._path.is_file():
            raise ValueError(f"--cache: {self._path} is not a file.")
        try:
            content = json.loads(self._path.read_text(encoding="utf-8"))
        except ValueError:
            if self._path.name == NAME or self._path.read_bytes().startswith(_HEAD):
                return self._set_aside()
            content = None
        if not isinstance(content, dict) or content.get("kind") != _KIND:
            raise ValueError(
                "--cache must be a new file or a cache written by `tuner.aggregate`. "
                f"{self._path} is another kind of file and would be overwritten. Pass another file."
            )
        if content.get("version") != _VERSION:
            return {}
        runs = content.get("runs")
        return runs if isinstance(runs, dict) and _are_valid(runs) else self._set_aside()

    def _set_aside(self) -> dict[str, Any]:
        aside = self._path.with_name(f"{self._path.name}.damaged")
        os.replace(self._path, aside)
        self._warn(f"{self._path} was damaged and renamed to {aside.name}; all runs were read.")
        return {}

    def _warn(self, sentence: str) -> None:
        self.warning = f"{self.warning} {sentence}".strip()


def _are_valid(runs: dict[str, Any]) -> bool:
    return all(
        isinstance(entry, dict)
        and isinstance(entry.get("stamp"), list)
        and isinstance(entry.get("row"), dict)
        and isinstance(entry["row"].get("status"), str)
        for entry in runs.values()
    )
