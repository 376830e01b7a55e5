"""`python -m tuner.child MODULE ...`: a command that ends when the process that started it does.

The starter holds the other end of this process's standard input. However it ends, kill -9
included, the system closes that end. A training that nobody waits for would go on for hours.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading


def end_with_starter(handle: int) -> None:
    """Waits until the other end of a pipe is closed, and kills this process.

    Args:
        handle: The end of the pipe that this process reads. Nothing is ever written to it.
    """
    while os.read(handle, 1):
        pass
    # As a crash would: what is on the disk is whole at any moment.
    os.kill(os.getpid(), signal.SIGKILL if sys.platform != "win32" else signal.SIGTERM)


def main() -> None:
    """Runs the module that the command line names, as `python -m` would."""
    handle = os.dup(0)
    threading.Thread(target=end_with_starter, args=(handle,), daemon=True).start()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
