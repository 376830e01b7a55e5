"""Atomic file writing: readers see the complete new file or the previous one."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from serve.output_target import keep_access, open_special, target_of

_numbers = itertools.count()


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """Open a temporary file that replaces `path` at the end of the block; deleted on an error.

    Symbolic links stay, and what they lead to is replaced, with its permissions. Devices and pipes
    are written to directly.

    Args:
        path: Where to write the file; its folder is created if necessary.

    Raises:
        IsADirectoryError: `path` is a folder.
        OSError: The file cannot be written.
    """
    if path.is_dir():
        raise IsADirectoryError(f"{str(path)!r} is a folder. Give the name of a file.")
    special = open_special(path)
    if special is not None:
        with special:
            yield special
        return
    path = target_of(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".unfinished-{os.getpid()}-{next(_numbers)}")
    try:
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        keep_access(temporary, path)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
