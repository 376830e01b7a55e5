"""Writes a file aside and renames it: a reader sees all of the new one or what was there before."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

_numbers = itertools.count()


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write to; it takes its name at the end of the block, and vanishes on an error.

    Args:
        path: Where the file is to be; its folder is made if it is not there.

    Raises:
        IsADirectoryError: `path` is a folder.
        OSError: The file cannot be written.
    """
    if path.is_dir():
        raise IsADirectoryError(f"{str(path)!r} is a folder. Give the name of a file.")
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".unfinished-{os.getpid()}-{next(_numbers)}")
    try:
        with open(aside, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)
