"""The database of an index: opened, checked, read, and made anew where it cannot be used."""

from __future__ import annotations

import json
import os
import sqlite3
import zlib
from pathlib import Path

import PIL
from PIL import features

from proxy_keras.data.file_status import STATUS_SIZE
from proxy_keras.data.index_files import MAX_BYTES, set_aside
from proxy_keras.data.scanned_files import EXAMINED
from proxy_keras.io.paused_collection import paused_collection
from proxy_keras.io.progress import notify

DECODER = 1
"""Increase it whenever `images.read_image` or `ordinary.is_ordinary` answers anything else."""

Row = tuple[bytes, bytes, bytes | None, bytes | None, int]
"""A path, its packed status, `EXAMINED` or why it is not a usable image, and a checksum."""

_FORMAT = 1
_APPLICATION = 0x70786B73
_APPLICATION_AT = 68
_SIGNATURE = b"SQLite format 3\0"
_PAGE_BYTES = 4096
_WAIT_S = 10.0
_LIBRARIES = ("libjpeg_turbo", "jpg", "zlib", "libtiff", "webp", "jpg_2000", "avif")
_TABLES = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID",
    "CREATE TABLE files (path BLOB PRIMARY KEY, status BLOB, examined BLOB, reason BLOB, "
    "checksum INTEGER) WITHOUT ROWID",
)
_DAMAGED = (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class _Unusable(Exception):
    """The database is damaged, or was made for other images or by another decoder."""


def open_database(
    file: Path, root: str | os.PathLike[str], *, is_cached: bool
) -> tuple[sqlite3.Connection, dict[bytes, Row]]:
    """Open the index of a folder, and return it with its rows by path.

    One that cannot be used is renamed and made anew, which is told in one line.

    Args:
        file: The file, which is made if there is none.
        root: The folder of the images.
        is_cached: Whether the file is named by the project, so that whatever it holds is an index.

    Raises:
        ValueError: The file is not an index, and not named by the project.
        sqlite3.Error, OSError: It cannot be opened or made.
    """
    if file.exists() and not file.is_file():
        raise OSError(f"{file} is not a regular file")
    for _ in range(2):
        inode = file.stat().st_ino if file.exists() else None
        database = sqlite3.connect(file, timeout=_WAIT_S, isolation_level=None)
        try:
            return database, _rows(database, _meta(root))
        except (_Unusable, sqlite3.Error, UnicodeDecodeError) as error:
            # SQLite quotes a damaged schema in its message, which need not be UTF-8 then.
            database.close()
            if isinstance(error, sqlite3.Error) and not is_damage(error):
                raise
            if not is_cached and not _is_index(file):
                raise ValueError(
                    f"`index` must be the index of a scan, or a new file. {str(file)!r} is another "
                    "kind of file, or damaged. Choose another file, or remove it."
                ) from error
            # Another process may have made it anew meanwhile.
            if inode is None or file.stat().st_ino == inode:
                kept = set_aside(file)
                why = error if isinstance(error, _Unusable) else f"is damaged: {error}"
                notify(
                    f"The index of earlier scans {file} {why}. It is kept as {kept.name}, and the "
                    "images are decoded again."
                )
    raise sqlite3.DatabaseError("it was damaged again as soon as it was made anew")


def is_damage(error: sqlite3.Error) -> bool:
    """Return whether an error says that a file is damaged, rather than that it cannot be used."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED


def row_of(path: bytes, status: bytes, examined: bytes | None, reason: bytes | None) -> Row:
    """Return the row of a file."""
    return path, status, examined, reason, _checksum(path, status, examined, reason)


def _checksum(path: bytes, status: bytes, examined: bytes | None, reason: bytes | None) -> int:
    return zlib.crc32(path + status + (examined or b"") + (reason or b""))


def _rows(database: sqlite3.Connection, meta: dict[bytes, bytes]) -> dict[bytes, Row]:
    """Return the rows by path, after checks that the database is that of these images.

    Raises:
        _Unusable: It is not, or a row is damaged.
    """
    # Text need not be UTF-8 in a damaged database.
    database.text_factory = bytes
    database.execute("PRAGMA trusted_schema = OFF")
    database.execute(f"PRAGMA max_page_count = {MAX_BYTES // _PAGE_BYTES}")
    if not _tables(database):
        _make_tables(database, meta)
    if _number(database, "application_id") != _APPLICATION:
        raise _Unusable("is a database of another kind")
    if _number(database, "user_version") != _FORMAT:
        raise _Unusable("has the format of another version")
    if _tables(database) != {table.encode() for table in _TABLES}:
        raise _Unusable("has other tables")
    found = dict(database.execute("SELECT key, value FROM meta"))
    if found != meta:
        # In a damaged database, keys need not be text.
        key, _ = min(found.items() ^ meta.items(), key=repr)
        what = {b"root": "folder", b"decoders": "version of the decoders"}.get(key, "program")
        raise _Unusable(f"was made for another {what}")
    with paused_collection():
        select = "SELECT path, status, examined, reason, checksum FROM files"
        rows = {row[0]: row for row in database.execute(select)}
        if not all(map(_is_sound, rows.values())):
            raise _Unusable("has damaged entries")
    return rows


def _is_sound(row: Row) -> bool:
    path, status, examined, reason, checksum = row
    try:
        return (
            _checksum(path, status, examined, reason) == checksum
            and len(status) == STATUS_SIZE
            and (examined is None) != (reason is None)
            and (examined is None or len(examined) == EXAMINED.itemsize)
        )
    except TypeError:
        # Numbers and NULL in place of bytes.
        return False


def _make_tables(database: sqlite3.Connection, meta: dict[bytes, bytes]) -> None:
    if _number(database, "application_id") not in (0, _APPLICATION):
        return
    database.execute("BEGIN IMMEDIATE")
    # Unless another process has made them while this one waited.
    if not _tables(database):
        for table in _TABLES:
            database.execute(table)
        database.executemany(
            "INSERT INTO meta VALUES (?, ?)", [(key.decode(), value) for key, value in meta.items()]
        )
        database.execute(f"PRAGMA application_id = {_APPLICATION}")
        database.execute(f"PRAGMA user_version = {_FORMAT}")
    database.execute("COMMIT")


def _tables(database: sqlite3.Connection) -> set[bytes]:
    return {sql for (sql,) in database.execute("SELECT sql FROM sqlite_master")}


def _number(database: sqlite3.Connection, name: str) -> int:
    return int(database.execute(f"PRAGMA {name}").fetchone()[0])


def _is_index(file: Path) -> bool:
    """Return whether a file starts like an index, however damaged the rest is."""
    with file.open("rb") as opened:
        start = opened.read(_APPLICATION_AT + 4)
    return start.startswith(_SIGNATURE) and start[_APPLICATION_AT:] == _APPLICATION.to_bytes(4)


def _meta(root: str | os.PathLike[str]) -> dict[bytes, bytes]:
    """Return what the rows depend on, besides the files."""
    versions = {name: features.version(name) for name in _LIBRARIES if features.check(name)}
    decoders = {"pillow": PIL.__version__, **versions, "proxy_keras": DECODER}
    return {
        b"root": os.fsencode(os.path.realpath(root)),
        b"decoders": json.dumps(decoders, sort_keys=True).encode(),
    }
