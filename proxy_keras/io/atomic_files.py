"""Writes files so that a crash at any moment leaves the old content or the new, never a part."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

UNFINISHED = ".unfinished"


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Calls `write` with a path beside `path`, makes what it wrote durable, and renames it.

    The name keeps its suffix, which some writers read the format from. A folder is handled like a
    file, except that it must not exist yet (a folder cannot be replaced in one step).

    Args:
        path: Where the file or folder is to be.
        write: Writes it at the path that it is given.
    """
    aside = path.with_name(f"{path.stem}{UNFINISHED}{path.suffix}")
    remove(aside)
    write(aside)
    for file in [aside, *sorted(aside.rglob("*"))]:
        _sync(file)
    os.replace(aside, path)
    _sync(path.parent)


def write_text_atomically(path: Path, text: str) -> None:
    """Writes UTF-8 text as `write_atomically` does."""
    write_atomically(path, lambda aside: aside.write_text(text, encoding="utf-8"))


def remove(path: Path) -> None:
    """Removes a file or folder that this project wrote, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
