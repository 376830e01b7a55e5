"""Launcher: starts training processes, where it is safe as forks that share imported packages."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Self

HAS_FORK_SERVER = sys.platform == "linux"
"""Elsewhere there is no fork, as on Windows, or none that is safe after imports, as on macOS."""

_STOP_S = 20.0
_MOST_BYTES = 64


class Process(ABC):
    """A training process.

    Attributes:
        returncode: The exit code, once `poll` or `wait` has seen the end; negative: the signal that
            ended it.
    """

    returncode: int | None = None

    @abstractmethod
    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end, and return the exit code.

        Args:
            timeout: Seconds; None: no limit.

        Raises:
            TimeoutError: It is still running.
        """

    @abstractmethod
    def send_signal(self, number: int) -> None:
        """Send a signal, unless the process has ended."""

    @abstractmethod
    def close(self) -> None:
        """Release what belongs to a process that has ended."""

    def poll(self) -> int | None:
        """Return the exit code; None while it runs."""
        with suppress(TimeoutError):
            return self.wait(0.0)
        return None

    def stop(self) -> None:
        """Stop the process after its current step, or kill it after 20 seconds."""
        if self.poll() is None:
            self.send_signal(signal.SIGINT)
            try:
                self.wait(_STOP_S)
            except TimeoutError:
                self.send_signal(signal.SIGKILL if sys.platform != "win32" else signal.SIGTERM)
                self.wait()
        self.close()


class FreshProcess(Process):
    """A process that imports all packages itself; arguments as of `Launcher.start`."""

    def __init__(
        self, words: Sequence[str], environment: Mapping[str, str], log: int, lock: int
    ) -> None:
        self._popen = subprocess.Popen(
            [sys.executable, "-m", "tuner.child", *words],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            env=environment,
            pass_fds=(lock,) if sys.platform != "win32" else (),
        )

    def wait(self, timeout: float | None = None) -> int:
        """See `Process.wait`."""
        try:
            self.returncode = self._popen.wait(timeout)
        except subprocess.TimeoutExpired:
            raise TimeoutError from None
        return self.returncode

    def send_signal(self, number: int) -> None:
        """See `Process.send_signal`."""
        self._popen.send_signal(number)

    def close(self) -> None:
        """See `Process.close`."""
        if self._popen.stdin is not None:
            self._popen.stdin.close()


class ForkedProcess(Process):
    """A process that the fork server starts.

    Args:
        connection: The socket on which the server receives signals, and sends the exit code.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def wait(self, timeout: float | None = None) -> int:
        """See `Process.wait`."""
        if self.returncode is None:
            self._connection.settimeout(timeout)
            try:
                text = self._connection.recv(_MOST_BYTES).decode()
            except BlockingIOError:
                raise TimeoutError from None
            except ConnectionResetError:
                text = ""
            # A server that is killed takes its processes with it.
            self.returncode = int(text) if text else -signal.SIGKILL
        return self.returncode

    def send_signal(self, number: int) -> None:
        """See `Process.send_signal`."""
        # Without a server, there is no process either.
        with suppress(BrokenPipeError, ConnectionResetError):
            self._connection.send(bytes([number]))

    def close(self) -> None:
        """See `Process.close`."""
        self._connection.close()


class Launcher:
    """Starts training processes; use it in a `with` block, after which none of them runs.

    Its processes end with it, also by kill -9.

    Args:
        threads: TensorFlow threads of each process; None: the number of CPUs.
    """

    def __init__(self, threads: int | None = None) -> None:
        self._environment = _environment(threads)
        self._server: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._mutex = threading.Lock()

    def start(self, words: Sequence[str], *, log: int, lock: int) -> Process:
        """Start `python -m WORDS...`, which prints to `log` and holds `lock` while it runs.

        Args:
            words: The module and its arguments.
            log: A file descriptor.
            lock: A file descriptor.
        """
        if not HAS_FORK_SERVER:
            return FreshProcess(words, self._environment, log, lock)
        ours, theirs = socket.socketpair()
        with theirs, self._mutex:
            message = [json.dumps([*words]).encode()]
            files = [log, lock, theirs.fileno()]
            try:
                socket.send_fds(self._connected(), message, files)
            except OSError:
                # The server was killed.
                self._stop_server()
                socket.send_fds(self._connected(), message, files)
        return ForkedProcess(ours)

    def close(self) -> None:
        """End all processes."""
        with self._mutex:
            self._stop_server()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _connected(self) -> socket.socket:
        """Return the connection to the server, which is started for the first process."""
        if self._control is None:
            self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs:
                self._server = subprocess.Popen(
                    [sys.executable, "-m", "tuner.fork_server"],
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    # A background thread of pyarrow, which pandas imports, would forbid forks.
                    env={"JE_ARROW_MALLOC_CONF": "background_thread:false", **self._environment},
                )
        return self._control

    def _stop_server(self) -> None:
        if self._server is not None and self._control is not None:
            self._control.close()
            self._server.kill()
            self._server.wait()
            self._server = self._control = None


def _environment(threads: int | None) -> dict[str, str]:
    environment = {"TF_CPP_MIN_LOG_LEVEL": "2", **os.environ}
    if threads is not None:
        environment |= {
            "TF_NUM_INTRAOP_THREADS": str(threads),
            "TF_NUM_INTEROP_THREADS": str(threads),
            "OMP_NUM_THREADS": str(threads),
        }
    return environment
