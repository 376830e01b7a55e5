"""Servers for tests: in this process without a network, in a thread, or in a process."""

from __future__ import annotations

import asyncio
import http.client
import io
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from serve.app import create_app
from serve.draining import DrainingServer
from serve.model import Model
from serve.models import Models, Source
from serve.server import bind, build_server
from serve.service import Service
from serve.settings import Settings
from serve.telemetry import Telemetry

PROJECT = Path(__file__).resolve().parents[3]
START_S = 60.0


@pytest.fixture
def picture() -> Callable[..., bytes]:
    """Create image files of one colour; red is class 0 of `write_model`, green 1, blue 2."""

    def encode(colour: str = "red", size: tuple[int, int] = (8, 8), kind: str = "PNG") -> bytes:
        file = io.BytesIO()
        Image.new("RGB", size, colour).save(file, kind)
        return file.getvalue()

    return encode


@pytest.fixture
def make_service(write_model: Callable[..., Path]) -> Callable[..., Service]:
    """Create a service for files (default: one tiny model) with these settings."""

    def make(*sources: Source, **settings: Any) -> Service:
        chosen = Settings(**settings)
        telemetry = Telemetry()
        models = Models(
            sources or [Source(write_model())],
            open_model=lambda path: Model(path, device="cpu", threads=1),
            settings=chosen,
            telemetry=telemetry,
        )
        return Service(models, chosen, telemetry)

    return make


@pytest.fixture
def open_client(make_service: Callable[..., Service]) -> Iterator[Callable[..., TestClient]]:
    """Create clients of an application in this process; arguments as in `make_service`.

    The service is `client.app.state.service`.
    """
    with ExitStack() as stack:

        def connect(*sources: Source, **settings: Any) -> TestClient:
            service = make_service(*sources, **settings)
            app = create_app(service)
            app.state.service = service
            client = TestClient(app, "http://localhost", raise_server_exceptions=False)
            return stack.enter_context(client)

        yield connect


@dataclass
class RunningServer:
    """A server in a thread of this process.

    Attributes:
        port: Where it listens on 127.0.0.1.
        service: What it answers by.
        server: uvicorn's.
        thread: Ends with it.
    """

    port: int
    service: Service
    server: DrainingServer
    thread: threading.Thread

    def stop(self) -> None:
        """Start the shutdown, as SIGTERM would."""
        self.server.should_exit = True


@pytest.fixture
def run_server(make_service: Callable[..., Service]) -> Iterator[Callable[..., RunningServer]]:
    """Start servers in threads; arguments as in `make_service`. They are stopped after the test."""
    running: list[RunningServer] = []

    def run(*sources: Source, **settings: Any) -> RunningServer:
        service = make_service(*sources, **settings)
        server = build_server(service)
        listening = bind("127.0.0.1", 0)
        port = listening.getsockname()[1]
        thread = threading.Thread(target=lambda: asyncio.run(server.serve([listening])))
        thread.start()
        running.append(RunningServer(port, service, server, thread))
        _wait_until(lambda: server.started, "the server did not start")
        return running[-1]

    yield run
    for one in running:
        one.stop()
    for one in running:
        one.thread.join(START_S)
        assert not one.thread.is_alive()


@dataclass
class ServerProcess:
    """`python -m serve.server` as a process.

    Attributes:
        process: It.
        port: Where it listens on 127.0.0.1; 0 until `wait_ready`.
    """

    process: subprocess.Popen[str]
    port: int = 0
    _lines: list[str] = field(default_factory=list)

    def wait_ready(self) -> None:
        """Wait until it is ready."""
        self.port = int(self.wait_log(r"Serving at http://127\.0\.0\.1:(\d+)")[1])
        _wait_until(self._is_ready, "the server is not ready")

    def wait_log(self, pattern: str) -> re.Match[str]:
        """Wait for a pattern on stderr, and return its first match."""
        found: list[re.Match[str]] = []

        def look() -> bool:
            found.extend(filter(None, [re.search(pattern, self.log)]))
            return bool(found) or self.process.poll() is not None

        _wait_until(look, f"no {pattern!r} in the log")
        assert found, f"no {pattern!r} in the log: {self.log}"
        return found[0]

    @property
    def log(self) -> str:
        """Return what it has written to stderr."""
        return "".join(self._lines)

    def read_log(self) -> None:
        """Read stderr to the end."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self._lines.append(line)

    def _is_ready(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/v2/health/ready")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()


@pytest.fixture
def start_process() -> Iterator[Callable[..., ServerProcess]]:
    """Start `python -m serve.server` on a free port; killed after the test."""
    started: list[tuple[ServerProcess, threading.Thread]] = []

    def start(*arguments: object, environment: dict[str, str] | None = None) -> ServerProcess:
        process = subprocess.Popen(
            [sys.executable, "-m", "serve.server", *map(str, arguments), "--port", "0"],
            cwd=PROJECT,
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            env={**os.environ, **(environment or {})},
        )
        server = ServerProcess(process)
        reader = threading.Thread(target=server.read_log, daemon=True)
        reader.start()
        started.append((server, reader))
        return server

    yield start
    for server, reader in started:
        server.process.kill()
        server.process.wait()
        reader.join()
        assert server.process.stderr is not None
        server.process.stderr.close()


@pytest.fixture
def colours() -> Callable[..., np.ndarray]:
    """Create images of one colour each, [N, 8, 8, 3] uint8, from these (R, G, B)."""

    def fill(*rows: tuple[int, int, int], size: int = 8) -> np.ndarray:
        images = np.zeros([len(rows), size, size, 3], np.uint8)
        images[:] = np.array(rows, np.uint8)[:, np.newaxis, np.newaxis]
        return images

    return fill


def _wait_until(is_so: Callable[[], bool], otherwise: str) -> None:
    end = time.monotonic() + START_S
    while not is_so():
        assert time.monotonic() < end, otherwise
        time.sleep(0.01)
