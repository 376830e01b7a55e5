"""ScanIndex: what scans of a folder have found out about its files, kept between runs."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from proxy_keras.data.file_status import is_racy
from proxy_keras.data.index_database import Row, is_damage, open_database, row_of
from proxy_keras.data.index_files import MAX_BYTES, cached_file, remove_old, set_aside
from proxy_keras.data.layout import Candidate
from proxy_keras.io.progress import notify

CACHE, NONE = "cache", "none"

Index = str | os.PathLike[str] | None
"""The file of an index; "cache": one in the user's cache folder; None or "none": none is kept."""

Found = bytes | str
"""What is known of a file: `scanned_files.EXAMINED` as bytes, or why it is no usable image."""

_PORTION_S = 5.0
"""Seconds after which new entries are written, and so the work that a killed process loses."""


class ScanIndex:
    """The index of a folder.

    Problems with its database never stop a scan: they are told in one line, and the scan goes on
    without it.

    Args:
        root: The folder of the images.
        scanned_ns: When the scan started, in ns since 1970.
        file: The file of the database, for messages.
        database: The open database; None: the index is empty, and nothing is kept.
        rows: What it held when it was opened, by path.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        scanned_ns: int,
        file: Path = Path(),
        database: sqlite3.Connection | None = None,
        rows: dict[bytes, Row] | None = None,
    ) -> None:
        self._root = os.fsencode(root)
        self._scanned_ns = scanned_ns
        self._file = file
        self._database = database
        self._rows = rows or {}
        self._others: set[bytes] = set()
        self._new: list[Row] = []
        self._written_s = time.monotonic()

    def find(self, candidates: Sequence[Candidate]) -> list[Found | None]:
        """Return what is known of each file; None where it is new, or has changed."""
        if not self._rows:
            return [None] * len(candidates)
        found: list[Found | None] = []
        paths = [os.fsencode(candidate.path) for candidate in candidates]
        self._others = self._rows.keys() - paths
        for candidate, row in zip(candidates, map(self._rows.get, paths), strict=True):
            if row is None or row[1] != candidate.status:
                found.append(None)
            elif row[3] is None:
                found.append(row[2])
            else:
                found.append(row[3].decode("utf-8", "surrogatepass"))
        return found

    def add(self, candidate: Candidate, found: Found) -> None:
        """Keep what was found out about a file, unless its status could hide a later change.

        Args:
            candidate: The file, with its status from before it was read.
            found: What is known of it.
        """
        if self._database is None or is_racy(candidate.status, self._scanned_ns):
            return
        path = os.fsencode(candidate.path)
        if isinstance(found, bytes):
            self._new.append(row_of(path, candidate.status, found, None))
        else:
            reason = found.encode("utf-8", "surrogatepass")
            self._new.append(row_of(path, candidate.status, None, reason))
        if time.monotonic() - self._written_s > _PORTION_S:
            self._write()

    def drop_removed(self) -> None:
        """Drop the entries of files that `find` was not asked for and that no longer exist."""
        removed = [
            (path,) for path in self._others if not os.path.lexists(os.path.join(self._root, path))
        ]
        self._change("DELETE FROM files WHERE path = ?", removed)

    def close(self) -> None:
        """Write the new entries, and close the database."""
        self._write()
        if self._database is not None:
            self._database.close()
            self._database = None

    def _write(self) -> None:
        new, self._new = self._new, []
        self._change("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?)", new)
        self._written_s = time.monotonic()

    def _change(self, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
        """Change the database in one transaction; after a failure it is not used any more."""
        if self._database is None or not rows:
            return
        try:
            self._database.execute("BEGIN IMMEDIATE")
            self._database.executemany(statement, rows)
            self._database.execute("COMMIT")
        except sqlite3.Error as error:
            self._database.close()
            self._database = None
            _notify_unkept(self._file, error)
            if is_damage(error):
                with contextlib.suppress(OSError):
                    # Made anew at the next start.
                    set_aside(self._file)


@contextlib.contextmanager
def open_index(root: str | os.PathLike[str], index: Index, scanned_ns: int) -> Iterator[ScanIndex]:
    """Open the index of a folder, which is made if there is none, and close it after the block.

    Where there can be none, which is told in one line, the one given is empty and keeps nothing.

    Args:
        root: The folder of the images.
        index: See `Index`.
        scanned_ns: When the scan started, in ns since 1970; before the status of any file was read.

    Raises:
        ValueError: `index` is a file of another kind, or in the folder of the images.
    """
    if index is None or index == NONE:
        yield ScanIndex(root, scanned_ns)
        return
    is_cached = index == CACHE
    file = Path(index)
    try:
        if is_cached:
            file = cached_file(root)
        else:
            _check_place(file, root)
        file.parent.mkdir(parents=True, exist_ok=True)
        database, rows = open_database(file, root, is_cached=is_cached)
    except (sqlite3.Error, OSError, RuntimeError) as error:
        _notify_unkept(file, error)
        yield ScanIndex(root, scanned_ns)
        return
    with contextlib.suppress(OSError):
        # The time of use; on a disk that cannot be written, nothing is removed by it either.
        os.utime(file)
    known = ScanIndex(root, scanned_ns, file, database, rows)
    try:
        yield known
    finally:
        known.close()
        if is_cached:
            try:
                remove_old(file, max_bytes=MAX_BYTES)
            except OSError as error:
                notify(f"Old indexes of scans could not be removed: {error}.")


def _check_place(file: Path, root: str | os.PathLike[str]) -> None:
    if Path(os.path.realpath(root)) in Path(os.path.realpath(file)).parents:
        raise ValueError(
            f"`index` must be outside the folder of the images, to which nothing is written. "
            f"Received: {str(file)!r} in {os.fspath(root)!r}"
        )


def _notify_unkept(file: Path, error: Exception) -> None:
    notify(
        f"The next start will decode the images again, because their index {file} cannot be used: "
        f"{error}."
    )
