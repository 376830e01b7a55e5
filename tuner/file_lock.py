"""FileLock: a lock between processes, also across machines that share a folder."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Self

if sys.platform != "win32":
    import fcntl


class FileLock:
    """Lock that the operating system releases when all processes holding it have ended.

    A child process that inherits `handle` also holds the lock while it runs. Windows has no such
    lock; there, nothing is ever locked.

    Args:
        path: The lock file. It is created, stays empty and is never deleted, because another
            process might hold a lock on it.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab")

    @property
    def handle(self) -> int:
        """The file descriptor, for child processes to inherit."""
        return self._file.fileno()

    def acquire(self, *, wait: bool) -> bool:
        """Acquire the lock, and return whether that succeeded.

        Args:
            wait: Block until the lock is free.
        """
        if sys.platform == "win32":
            return True
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        """Release the lock in this process."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def lock_folder(path: Path, command: str) -> FileLock:
    """Return the acquired lock of a folder that one command may use at a time.

    Args:
        path: The lock file in the folder.
        command: Name of the command, such as "search".

    Raises:
        ValueError: Another process holds the lock.
    """
    lock = FileLock(path)
    if not lock.acquire(wait=False):
        lock.close()
        raise ValueError(
            f"Another {command} is running in {path.parent}. Wait for it, stop it, or pass "
            "another --out."
        )
    return lock


def is_locked(path: Path) -> bool:
    """Return whether another process holds the lock."""
    with FileLock(path) as lock:
        return not lock.acquire(wait=False)
