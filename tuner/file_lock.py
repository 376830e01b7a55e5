"""FileLock: one process at a time, also over several machines that share a folder."""

from __future__ import annotations

import sys
from pathlib import Path
from types import TracebackType
from typing import Self

if sys.platform != "win32":
    import fcntl


class FileLock:
    """A lock that the system itself gives back when its holders have ended, however they ended.

    A process that is started with `handle` among its open files holds the lock, too, and for as
    long as it runs. On Windows, which has no such lock, nothing is ever locked.

    Args:
        path: The file that stands for the lock. It is made, stays empty, and is never removed:
            another process might hold its lock under the same name.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab")

    @property
    def handle(self) -> int:
        """The open file, to be passed on to a process."""
        return self._file.fileno()

    def take(self, *, wait: bool) -> bool:
        """Takes the lock, and returns whether that succeeded.

        Args:
            wait: Until it is free; else at most now.
        """
        if sys.platform == "win32":
            return True
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        """Gives the lock back, as far as this process is concerned."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def the_only(path: Path, what: str) -> FileLock:
    """A taken lock, for what runs once at a time in a folder.

    Args:
        path: The file of the lock, in that folder.
        what: What runs there, such as "search".

    Raises:
        ValueError: Another has it.
    """
    lock = FileLock(path)
    if not lock.take(wait=False):
        lock.close()
        raise ValueError(
            f"Another {what} runs in {path.parent}. Wait for it, end it, or give another --out."
        )
    return lock


def is_locked(path: Path) -> bool:
    """Whether another process holds the lock of this file."""
    with FileLock(path) as lock:
        return not lock.take(wait=False)
