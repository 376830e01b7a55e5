"""`python -m tuner.child MODULE ...`: a command that ends with its parent process.

The parent holds the other end of this process's standard input. The system closes that end when
the parent exits, even by kill -9. An orphaned training run would otherwise continue for hours.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading
from collections.abc import Sequence


def exit_with_parent(handle: int) -> None:
    """Wait until the other end of a pipe is closed, then kill this process.

    Args:
        handle: The end of the pipe that this process reads. Nothing is ever written to it.
    """
    while os.read(handle, 1):
        pass
    # Killing is safe: files are written atomically.
    os.kill(os.getpid(), signal.SIGKILL if sys.platform != "win32" else signal.SIGTERM)


def main(words: Sequence[str]) -> None:
    """Run a command as `python -m` would.

    Args:
        words: The module and its arguments.
    """
    handle = os.dup(0)
    threading.Thread(target=exit_with_parent, args=(handle,), daemon=True).start()
    sys.argv[:] = words
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv[1:])
