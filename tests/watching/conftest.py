"""A run folder that grows like that of a training run, and servers that watch it."""

from __future__ import annotations

import http.client
import io
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from proxy_keras.watching import RunMonitor, WatchServer

Ask = Callable[..., tuple[int, http.client.HTTPMessage, bytes]]


class RunFolder:
    """Writes the files of a run with classes "cat" (4 validation images) and "dog" (2).

    Attributes:
        path: The run folder, which `begin` makes.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, name: str, content: str | bytes) -> None:
        """Write a file atomically, like a training run."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f"{path.stem}.unfinished{path.suffix}")
        aside.write_bytes(content.encode() if isinstance(content, str) else content)
        aside.replace(path)

    def begin(self, epochs: object = 4, **settings: object) -> None:
        """Write the settings and versions."""
        self.write("run.json", '{"classes": 2}')
        self.write("config.json", json.dumps({"model": "small_cnn", "epochs": epochs, **settings}))

    def train(self, epochs: int, wrong: int = 3) -> None:
        """Write the files of finished epochs: accuracy 0.1 in the first, 0.2 in the second, ...

        A proxy step ran in the second; `wrong` cats are answered wrong in the first epoch, one
        fewer in each of the next.
        """
        history = "epoch,accuracy,loss,val_accuracy,val_loss,proxies,proxy_chosen\n"
        counts = "epoch,class,images,right\n"
        times = "epoch,seconds,cpu_seconds\n"
        for epoch in range(1, epochs + 1):
            share, step = epoch / 10, 5 if epoch == 2 else 0
            history += f"{epoch},{share},{3 - share},{share / 2},{2 - share},5,{step}\n"
            counts += f"{epoch},cat,4,{4 - max(wrong + 1 - epoch, 0)}\n{epoch},dog,2,1\n"
            times += f"{epoch},{20 if epoch == 1 else 2},1\n"
        self.write("history.csv", history)
        self.write("timing.csv", times)
        self.write("val_per_class.csv", counts)

    def draw(self, epoch: int, colour: str = "red") -> bytes:
        """Write the proxy sheet of an epoch and return its content."""
        with io.BytesIO() as file:
            Image.new("RGB", (16, 6), colour).save(file, "PNG")
            content = file.getvalue()
        self.write(f"sheets/proxies_{epoch:04d}.png", content)
        return content

    def end(self) -> None:
        """Write the results."""
        self.write("metrics.json", '{"val": {"accuracy": 0.25}, "test": {"accuracy": 0.75}}')


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """Return a run folder that does not exist yet."""
    return RunFolder(tmp_path / "runs" / "first")


@pytest.fixture
def serve(run: RunFolder) -> Iterator[Callable[..., WatchServer]]:
    """Return a function that starts a server of `run` in a thread (arguments: `WatchServer`)."""
    running: list[tuple[WatchServer, threading.Thread]] = []

    def start(**options: Any) -> WatchServer:
        server = WatchServer(RunMonitor(run.path), **options)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        running.append((server, thread))
        return server

    yield start
    for server, thread in running:
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive()


@pytest.fixture
def ask() -> Ask:
    """Return a function that requests a path: status, headers, body."""

    def get(
        server: WatchServer, path: str, method: str = "GET", **headers: str
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, answer.headers, body

    return get
