"""What an output path stands for: a file to replace, or a link, device or pipe that must stay."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
from pathlib import Path
from typing import BinaryIO

_MOST_LINKS = 40


def descriptor_of(path: Path) -> int | None:
    """Return the file descriptor that a path such as /dev/stdout names; None if it names none."""
    for _ in range(_MOST_LINKS):
        folder = os.path.realpath(path.parent)
        if folder in ("/dev/fd", f"/proc/{os.getpid()}/fd") and path.name.isdigit():
            return int(path.name)
        if not path.is_symlink():
            return None
        path = path.parent / os.readlink(path)
    return None


def open_special(path: Path) -> BinaryIO | None:
    """Open an output that is not a regular file, such as /dev/stdout, /dev/null or a FIFO.

    Args:
        path: The output. A FIFO is opened once it has a reader.

    Returns:
        The open output; None if it is a regular file or a folder, or does not exist.

    Raises:
        OSError: It cannot be opened.
    """
    descriptor = descriptor_of(path)
    if descriptor is not None:
        # What was printed before must come first.
        sys.stdout.flush()
        sys.stderr.flush()
        # Opening the path would truncate a file to which the shell redirects the output.
        return os.fdopen(os.dup(descriptor), "wb")
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return None
    return None if stat.S_ISREG(mode) or stat.S_ISDIR(mode) else path.open("wb")


def target_of(path: Path) -> Path:
    """Return the file or folder that a path leads to, which may not exist.

    Raises:
        OSError: Its symbolic links form a circle.
    """
    target = Path(os.path.realpath(path))
    if target.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    return target


def keep_access(temporary: Path, target: Path) -> None:
    """Give a new file the permissions of the file that it will replace, if there is one."""
    if not target.is_file():
        return
    state = target.stat()
    # Only members of the group and the superuser may.
    with contextlib.suppress(PermissionError):
        os.chown(temporary, -1, state.st_gid)
    temporary.chmod(stat.S_IMODE(state.st_mode))
