"""Training processes: forked or fresh, they start, end and are stopped alike."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.commands import ROOT
from tuner import launcher as launchers
from tuner.file_lock import FileLock, is_locked
from tuner.launcher import HAS_FORK_SERVER, ForkedProcess, Launcher, Process

needs_forks = pytest.mark.skipif(not HAS_FORK_SERVER, reason="there is no fork server")

# Ends in the way that its argument names.
COMMAND = """
import atexit, ctypes, os, signal, sys, threading, time
from pathlib import Path
how, *words = sys.argv[1:]
print(how, flush=True)
if how == "code":
    sys.exit(int(words[0]))
if how == "at_exit":
    atexit.register(print, "last words")
    threading.Thread(target=lambda: (time.sleep(0.2), print("a thread ends"))).start()
    sys.exit()
if how == "words":
    sys.exit("in words")
if how == "at_once":
    os._exit(7)
if how == "segfault":
    ctypes.string_at(0)
if how == "error":
    raise ValueError("out of luck")
if how == "deaf":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
try:
    Path(words[0]).write_text(f"{os.getpid()} {os.getppid()}")
    time.sleep(60)
except KeyboardInterrupt:
    print("stopped")
    sys.exit(130)
"""


@pytest.fixture(params=[pytest.param("fork", marks=needs_forks), "fresh"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How processes are started."""
    if request.param == "fresh":
        monkeypatch.setattr(launchers, "HAS_FORK_SERVER", False)
    return request.param


class Started:
    """Starts the command, with a log and a lock in a folder."""

    def __init__(self, launcher: Launcher, folder: Path) -> None:
        self.launcher = launcher
        self.folder = folder
        self.log = folder / "log"
        self.lock = folder / "lock"
        self._count = 0

    def __call__(self, *words: str) -> Process:
        with FileLock(self.lock) as lock, self.log.open("ab") as log:
            lock.acquire(wait=False)
            words = ("endings", *words)
            return self.launcher.start(words, log=log.fileno(), lock=lock.handle)

    def waiting(self, how: str = "wait") -> tuple[Process, int, int]:
        """Start a command that waits, and return it with its process id and that of its parent."""
        self._count += 1
        file = self.folder / f"pid-{self._count}"
        process = self(how, str(file))
        wait_for(lambda: file.exists() and " " in file.read_text())
        pid, parent = map(int, file.read_text().split())
        return process, pid, parent


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Started]:
    """Starts the command."""
    (tmp_path / "endings.py").write_text(COMMAND)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{ROOT}")
    with Launcher(2) as launcher:
        yield Started(launcher, tmp_path)


def wait_for(condition: Callable[[], object], timeout_s: float = 20) -> None:
    until = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < until, "timed out"
        time.sleep(0.01)


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("code", "0"), 0, "code\n"),
        (("code", "3"), 3, "code\n"),
        (("at_once",), 7, "at_once\n"),
        (("at_exit",), 0, "at_exit\na thread ends\nlast words\n"),
        (("words",), 1, "words\nin words\n"),
        (("segfault",), -signal.SIGSEGV, "segfault\n"),
        (("error",), 1, "ValueError: out of luck\n"),
    ],
)
def test_exit_codes_and_logs_are_those_of_the_command(kind, start, words, code, said):
    process = start(*words)
    assert process.wait(20) == process.poll() == process.returncode == code
    process.close()
    assert start.log.read_text().startswith(words[0]) and start.log.read_text().endswith(said)


def test_two_run_at_a_time_and_end_alone(kind, start):
    (one, pid, _), (two, pid_2, _) = start.waiting(), start.waiting()
    assert pid != pid_2 and one.poll() is None and two.poll() is None
    one.stop()
    assert one.returncode == 130 and not is_running(pid)
    assert two.poll() is None and is_running(pid_2)
    two.stop()
    assert two.returncode == 130 and start.log.read_text().count("stopped\n") == 2


def test_one_that_does_not_stop_is_killed(kind, start, monkeypatch):
    monkeypatch.setattr(launchers, "_STOP_S", 0.3)
    process, pid, _ = start.waiting("deaf")
    process.stop()
    assert process.returncode == -signal.SIGKILL and not is_running(pid)


def test_it_holds_the_lock_until_it_ends(kind, start):
    process, pid, _ = start.waiting()
    assert is_locked(start.lock)
    os.kill(pid, signal.SIGKILL)
    assert process.wait(20) == -signal.SIGKILL
    process.close()
    assert not is_locked(start.lock)


def test_all_end_with_the_launcher(kind, tmp_path, monkeypatch):
    """By kill -9; the lock is held, and the log written, by the processes alone."""
    (tmp_path / "endings.py").write_text(COMMAND)
    script = (
        "import sys, time\nfrom tuner import launcher\n"
        f"launcher.HAS_FORK_SERVER = {kind == 'fork'}\n"
        "started = launcher.Launcher(1)\n"
        "log = open('log', 'ab')\n"
        "kept = [started.start(['endings', 'wait', name], log=log.fileno(), lock=log.fileno())"
        " for name in sys.argv[1:]]\n"
        "time.sleep(60)\n"
    )
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    with subprocess.Popen(
        [sys.executable, "-c", script, "a", "b"], cwd=tmp_path, env=environment
    ) as parent:
        try:
            files = [tmp_path / "a", tmp_path / "b"]
            wait_for(lambda: all(file.exists() and " " in file.read_text() for file in files))
        finally:
            parent.kill()
    pids = {int(pid) for file in files for pid in file.read_text().split()} - {parent.pid}
    # Both processes, and the server that is the parent of both.
    assert len(pids) == (3 if kind == "fork" else 2)
    wait_for(lambda: not any(map(is_running, pids)), timeout_s=5)


@needs_forks
def test_a_killed_server_takes_its_processes_with_it_and_is_replaced(start):
    process, pid, server = start.waiting()
    os.kill(server, signal.SIGKILL)
    assert process.wait(20) == -signal.SIGKILL
    process.stop()
    wait_for(lambda: not is_running(pid), timeout_s=5)
    again, _, other = start.waiting()
    assert other != server and isinstance(again, ForkedProcess)
    again.stop()
    assert again.returncode == 130


@needs_forks
def test_a_server_with_threads_starts_fresh_processes_and_says_so(start, capfd):
    # Python imports this module first of all.
    (start.folder / "sitecustomize.py").write_text(
        "import sys, threading, time\n"
        "if 'tuner.fork_server' in sys.orig_argv:\n"
        "    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
    )
    process, pid, server = start.waiting()
    words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    assert words[1:3] == ["-m", "tuner.child"] and server != os.getpid()
    line = "note: each training process imports TensorFlow anew, which takes seconds: 2 threads"
    assert start.log.read_text().startswith(line)
    process.stop()
    assert process.returncode == 130
    other = start("code", "3")
    assert other.wait(20) == 3
    other.close()
    # In each log, but once on the screen.
    assert start.log.read_text().count(line) == 2 and capfd.readouterr().err.count(line) == 1


@needs_forks
def test_a_fork_has_the_environment_and_one_thread_of_a_new_process(start):
    process, pid, server = start.waiting()
    environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    assert {b"TF_NUM_INTRAOP_THREADS=2", b"OMP_NUM_THREADS=2"} <= {*environment}
    assert len(list(Path(f"/proc/{server}/task").iterdir())) == 1
    # Its own, and the one that watches for the end of the server.
    assert len(list(Path(f"/proc/{pid}/task").iterdir())) == 2
    # Nothing but the log, the lock and the sign of life of the server is left open.
    files = {os.readlink(file) for file in Path(f"/proc/{pid}/fd").iterdir()}
    assert {str(start.log), str(start.lock)} < files
    assert [file.partition(":")[0] for file in files if not file.startswith("/")] == ["pipe"]
    process.stop()
