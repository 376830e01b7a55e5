"""Commands in processes of their own that start at once; see command_server.py."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


def environment() -> dict[str, str]:
    """Return an environment for commands: the project importable, TensorFlow quiet."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}


@dataclass
class Command:
    """A started command, with the methods of `subprocess.Popen` that the tests use.

    Attributes:
        pid: Its process.
        returncode: Its exit code; None until `poll`, `wait` or `communicate` has seen it end.
    """

    pid: int
    returncode: int | None
    _server: Commands
    _files: tuple[Path, Path]

    def poll(self) -> int | None:
        """Return the exit code, or None while it runs."""
        if self.returncode is None:
            self.returncode = self._server.ask(ended=self.pid)
        return self.returncode

    def wait(self, timeout: float = 300) -> int:
        """Wait until it ends, and return the exit code."""
        until = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > until:
                self.kill()
                raise subprocess.TimeoutExpired(str(self.pid), timeout)
            time.sleep(0.005)
        return code

    def communicate(self, timeout: float = 300) -> tuple[str, str]:
        """Wait until it ends, and return what it printed to stdout and to stderr."""
        self.wait(timeout)
        out, errors = (file.read_text(encoding="utf-8") for file in self._files)
        return out, errors

    def kill(self) -> None:
        """End it with SIGKILL."""
        os.kill(self.pid, signal.SIGKILL)


class Commands:
    """Starts `python WORDS...`; TensorFlow and other large packages are imported already."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._started = 0
        self._server = subprocess.Popen(
            [sys.executable, ROOT / "tests" / "command_server.py"],
            # The project is found by a command's own environment only.
            env={k: v for k, v in environment().items() if k != "PYTHONPATH"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._answer() == "ready"

    def start(
        self,
        *words: object,
        cwd: Path = ROOT,
        env: Mapping[str, str] | None = None,
        log: Path | None = None,
    ) -> Command:
        """Start `python WORDS...`.

        Args:
            words: `-m MODULE ...`, `-c CODE ...` or `SCRIPT ...`.
            cwd: Its working folder.
            env: Its environment; None: `environment()`.
            log: File to which it appends all that it prints; None: one file each for stdout and
                stderr, for `Command.communicate`.
        """
        self._started += 1
        folder = Path(self._folder.name)
        files = (folder / f"{self._started}.out", folder / f"{self._started}.err")
        files = files if log is None else (log, log)
        pid = self.ask(
            words=[str(word) for word in words],
            environment=dict(environment() if env is None else env),
            folder=str(cwd),
            out=str(files[0]),
            errors=str(files[1]),
        )
        return Command(pid, None, self, files)

    def run(self, *words: object, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run `python WORDS...`; options as of `start`."""
        command = self.start(*words, **options)
        out, errors = command.communicate()
        assert command.returncode is not None
        return subprocess.CompletedProcess([*map(str, words)], command.returncode, out, errors)

    def ask(self, **request: Any) -> Any:
        """Return the server's answer to a request."""
        assert self._server.stdin is not None
        self._server.stdin.write(json.dumps(request) + "\n")
        self._server.stdin.flush()
        return self._answer()

    def close(self) -> None:
        """End the server."""
        assert self._server.stdin is not None and self._server.stdout is not None
        self._server.stdin.close()
        self._server.wait(timeout=60)
        self._server.stdout.close()
        self._folder.cleanup()

    def _answer(self) -> Any:
        assert self._server.stdout is not None
        return json.loads(self._server.stdout.readline())
