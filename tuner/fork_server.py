"""`python -m tuner.fork_server`: starts training processes as forks that share imported packages.

TensorFlow takes seconds to import, in each process anew. This server imports it once, without
using it, and forks for each run. A fork is an independent process: it has its own memory, devices
and threads, and ends alone. `tuner.launcher` is the other side.

Standard input is a socket. Each message is the words of a command, with three file descriptors:
the log, the lock and a connection. The exit code is sent on that connection; each byte received on
it is the number of a signal for the process.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from proxy_keras.io.quiet_start import start_quietly
from tuner import child

_RUN = (
    "proxy_keras.training.run",
    "proxy_keras.io.figures",
    "matplotlib.backends.backend_agg",
    "sklearn.datasets",
    "sklearn.metrics",
    "tensorboard.summary.writer.event_file_writer",
)
PRELOADED = {
    "proxy_keras.train": _RUN,
    "tuner.original_protocol": (*_RUN, "pandas"),
    "tuner.arm_cues": (*_RUN, "proxy_keras.proxy.outside_cues", "sklearn.cluster"),
}
"""What is imported before the first fork for a command; other commands import all they need."""

_FILES = 3
_MOST_BYTES = 2**20
_SIGNALS = (signal.SIGINT, signal.SIGCHLD)


@dataclass(frozen=True)
class Request:
    """A process to start.

    Attributes:
        words: The module and its arguments.
        log: File descriptor of the file for all that it prints.
        lock: File descriptor of the lock that it holds while it runs.
        connection: Receives signals, and sends the exit code.
    """

    words: list[str]
    log: int
    lock: int
    connection: socket.socket

    def close_files(self) -> None:
        """Close what only the process needs."""
        os.close(self.log)
        os.close(self.lock)


class ForkServer:
    """Server of one launcher.

    Args:
        control: The socket of the launcher. The server ends when its other end is closed.
    """

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._connections: dict[int, socket.socket] = {}
        # Its other end is never written to: it is closed when the server ends, even by kill -9.
        self._alive, self._open = os.pipe()
        self._woken, self._wake = os.pipe()
        os.set_blocking(self._wake, False)
        # Unlike epoll, `poll` does not go on watching what a fork still has open.
        self._selector = selectors.PollSelector()
        self._selector.register(control, selectors.EVENT_READ)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._has_complained = False

    def serve(self) -> Request | None:
        """Start processes until the launcher is gone.

        Returns:
            In a fork: what it must run. In the server: None.
        """
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        # Ctrl-C is for the launcher, which stops the runs. Blocked rather than ignored, so that a
        # fork misses no signal that was meant for it.
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._woken:
                    os.read(self._woken, _MOST_BYTES)
                    self._report_ended()
                elif key.fileobj is self._control:
                    request = self._receive()
                    if request is None:
                        return None
                    if self._start(request):
                        return request
                elif isinstance(key.fileobj, socket.socket):
                    self._pass_on(key.data, key.fileobj)

    def end(self) -> None:
        """End all processes."""
        for pid in self._connections:
            os.kill(pid, signal.SIGKILL)

    def _receive(self) -> Request | None:
        data, files, _, _ = socket.recv_fds(self._control, _MOST_BYTES, _FILES)
        if not data:
            return None
        log, lock, connection = files
        return Request(json.loads(data), log, lock, socket.socket(fileno=connection))

    def _start(self, request: Request) -> bool:
        """Start a process, and return whether this is it."""
        with _printing_to(request.log):
            _preload(request.words[0])
        threads = _threads()
        try:
            pid = os.fork() if threads == 1 else self._start_afresh(request, threads)
        except OSError as error:
            os.write(request.log, f"error: no process could be started: {error}\n".encode())
            request.close_files()
            request.connection.send(b"1")
            request.connection.close()
            return False
        if pid == 0:
            self._become(request)
            return True
        request.close_files()
        self._connections[pid] = request.connection
        self._selector.register(request.connection, selectors.EVENT_READ, pid)
        return False

    def _start_afresh(self, request: Request, threads: int) -> int:
        """Start a new interpreter, because a fork of several threads is unsafe; return its id."""
        line = (
            f"note: each training process imports TensorFlow anew, which takes seconds: {threads} "
            "threads were running after the import, so that it cannot be forked safely.\n"
        )
        os.write(request.log, line.encode())
        if not self._has_complained:
            sys.stderr.write(line)
            self._has_complained = True
        os.set_inheritable(request.lock, True)
        files = ((self._alive, 0), (request.log, 1), (request.log, 2))
        return os.posix_spawn(
            sys.executable,
            [sys.executable, "-m", "tuner.child", *request.words],
            os.environ,
            file_actions=[(os.POSIX_SPAWN_DUP2, source, target) for source, target in files],
            setsigmask=[],
            setsigdef=_SIGNALS,
        )

    def _become(self, request: Request) -> None:
        """Turn this fork into a process that the launcher might have started itself."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for source, target in ((self._alive, 0), (request.log, 1), (request.log, 2)):
            os.dup2(source, target)
        for file in (self._alive, self._open, self._woken, self._wake, request.log):
            os.close(file)
        for connection in (*self._connections.values(), request.connection, self._control):
            connection.close()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])

    def _report_ended(self) -> None:
        for pid, connection in list(self._connections.items()):
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                del self._connections[pid]
                # The launcher may have closed its end, after which nothing is registered.
                with suppress(KeyError):
                    self._selector.unregister(connection)
                with suppress(OSError):
                    connection.send(str(os.waitstatus_to_exitcode(status)).encode())
                connection.close()

    def _pass_on(self, pid: int, connection: socket.socket) -> None:
        """Send signals to a process, or end one whose launcher is gone."""
        if pid not in self._connections:
            return
        try:
            numbers = connection.recv(_MOST_BYTES)
        except OSError:
            numbers = b""
        if not numbers:
            self._selector.unregister(connection)
        # It is not reaped yet, so that its id belongs to no other process.
        for number in numbers or [signal.SIGKILL]:
            os.kill(pid, number)


@contextmanager
def _printing_to(log: int) -> Iterator[None]:
    """Send what is printed meanwhile, such as warnings on import, to a log."""
    errors = os.dup(2)
    os.dup2(log, 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(errors, 2)
        os.close(errors)


def _preload(module: str) -> None:
    """Import what a command needs, once."""
    names = [name for name in PRELOADED.get(module, ()) if name not in sys.modules]
    if not names:
        return
    start_quietly([])
    for name in names:
        # The command says what is missing, and how to install it.
        with suppress(ImportError):
            importlib.import_module(name)
    # What is shared with the forks stays so: the collector would write into all of it.
    gc.collect()
    gc.freeze()
    # OpenBLAS ends its threads before a fork, and starts them again when it needs them.
    if (pid := os.fork()) == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def _threads() -> int:
    """Return the number of threads of this process, also of those that Python does not know."""
    return len(os.listdir("/proc/self/task"))


def _leave(code: int) -> None:
    """End this process like Python, but without freeing TensorFlow's objects one by one."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def main() -> None:
    """Serve; each fork returns from here as the command that it runs."""
    # Forks need standard input for themselves.
    server = ForkServer(socket.socket(fileno=os.dup(0)))
    request = server.serve()
    if request is None:
        server.end()
        return
    code = 0
    try:
        child.main(request.words)
    except SystemExit as end:
        if not isinstance(end.code, int | None):
            raise
        code = end.code or 0
    _leave(code)


if __name__ == "__main__":
    main()
