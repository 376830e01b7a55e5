"""Atomic writes: a crash leaves either the old content or the new one, never a part of it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from proxy_keras.io.output_target import keep_access, open_special, target_of

UNFINISHED = ".unfinished"


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file or folder at a temporary path, sync it to disk, and rename it.

    The temporary name keeps the suffix, from which some writers infer the format. An existing
    folder cannot be replaced atomically, so a folder must not exist yet. Symbolic links stay, and
    what they lead to is replaced, with its permissions. Devices and pipes are written to.

    Args:
        path: Path of the file or folder.
        write: Called with the temporary path, in the same folder.

    Raises:
        OSError: It cannot be written.
    """
    special = open_special(path)
    if special is not None:
        _write_through(special, path.name, write)
        return
    path = target_of(path)
    temporary = path.with_name(f"{path.stem}{UNFINISHED}{path.suffix}")
    remove(temporary)
    write(temporary)
    for file in [temporary, *sorted(temporary.rglob("*"))]:
        _sync(file)
    keep_access(temporary, path)
    os.replace(temporary, path)
    _sync(path.parent)


def write_text_atomically(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def remove(path: Path) -> None:
    """Remove a file or folder that this project wrote, if it exists."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _write_through(special: BinaryIO, name: str, write: Callable[[Path], object]) -> None:
    """Write to a device or pipe; in one pass, because it cannot seek as some writers do."""
    with special, tempfile.TemporaryDirectory() as folder:
        temporary = Path(folder) / name
        write(temporary)
        with temporary.open("rb") as file:
            shutil.copyfileobj(file, special)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
