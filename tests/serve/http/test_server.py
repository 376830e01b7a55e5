"""Tests of serve/server.py: its arguments and its process."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from serve.server import bind, main
from serve.server_options import KEY_VARIABLE, build_parser, parse_settings, parse_source

PROJECT = Path(__file__).resolve().parents[3]
PATIENCE_S = 30.0

Picture = Callable[..., bytes]
Start = Callable[..., Any]
WriteModel = Callable[..., Path]


@pytest.fixture(autouse=True)
def _no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY_VARIABLE, raising=False)


def test_arguments_become_settings() -> None:
    given = build_parser().parse_args(
        "a.onnx --max-batch 4 --max-wait-ms 2.5 --max-body 2M --max-queue 9 --timeout-s 3 "
        "--drain-s 4 --decoders 3 --max-pixels 1000 --max-ticked 0.4 --cors-origin https://example.org".split()
    )
    settings = parse_settings(given)
    assert (settings.max_batch, settings.max_wait_s, settings.max_body) == (4, 0.0025, 2 << 20)
    assert (settings.max_queue, settings.timeout_s, settings.drain_s) == (9, 3.0, 4.0)
    assert (settings.decoders, settings.max_pixels, settings.max_ticked) == (3, 1000, 0.4)
    assert settings.cors_origins == ("https://example.org",)
    assert settings.hosts == {"127.0.0.1", "localhost", "::1"}
    assert settings.api_key is None


@pytest.mark.parametrize(
    ("text", "size"), [("1", 1), ("2k", 2048), ("3KiB", 3072), ("4MB", 4 << 20), ("1G", 1 << 30)]
)
def test_sizes_have_units(text: str, size: int) -> None:
    assert build_parser().parse_args(["a", "--max-body", text]).max_body == size


@pytest.mark.parametrize("text", ["", "M", "1.5M", "-1", "1T", "²"])
def test_another_size_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as error:
        build_parser().parse_args(["a", f"--max-body={text}"])
    assert error.value.code == 2
    assert "a size is a number of bytes" in capsys.readouterr().err


def test_the_key_comes_from_its_file_or_else_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "key"
    file.write_text("from-file\n")
    monkeypatch.setenv(KEY_VARIABLE, "from-variable")
    parse = build_parser().parse_args
    assert parse_settings(parse(["a"])).api_key == "from-variable"
    assert parse_settings(parse(["a", "--api-key-file", str(file)])).api_key == "from-file"
    monkeypatch.setenv(KEY_VARIABLE, "")
    with pytest.raises(ValueError, match="API key"):
        parse_settings(parse(["a"]))


def test_a_model_may_be_given_a_name(tmp_path: Path) -> None:
    assert parse_source("dir/a.onnx") == parse_source(str(Path("dir/a.onnx")))
    named = parse_source("digits=dir/a.onnx")
    assert (named.name, named.path) == ("digits", Path("dir/a.onnx"))
    file = tmp_path / "lr=0.1.onnx"
    file.touch()
    assert (parse_source(str(file)).name, parse_source(str(file)).path) == (None, file)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing.onnx"], "nothing.onnx"),
        (["{model}", "{model}"], "NAME="),
        (["{model}", "--max-batch", "0"], "max_batch"),
        (["{model}", "--port", "70000"], "70000"),
        (["{model}", "--cors-origin", "foo"], "Received: 'foo'"),
        (["{model}", "--host", "203.0.113.1"], "Cannot listen at 203.0.113.1"),
        (["{model}", "--api-key-file", "nothing.txt"], "nothing.txt"),
        (["{text}"], "cannot open"),
    ],
)
def test_what_cannot_be_served_is_told_in_one_line(
    write_model: WriteModel,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    text = tmp_path / "text.onnx"
    text.write_text("no model")
    filled = [one.format(model=write_model(), text=text) for one in arguments]
    assert main(["--device", "cpu", "--port", "0", *filled]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert error.count("\n") == 1


def test_a_limit_needs_a_model_with_cues(
    write_model: WriteModel, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([f"m={write_model()}", "--port", "0", "--max-ticked", "0.5"]) == 2
    said = capsys.readouterr().err
    assert "--max-ticked needs a model with cues. Received only models without: m." in said
    assert main([f"m={write_model()}", "--port", "0", "--max-ticked", "nan"]) == 2
    assert "`max_ticked` must be in [0, 1]. Received: nan" in capsys.readouterr().err


def test_a_port_in_use_is_told(write_model: WriteModel, capsys: pytest.CaptureFixture[str]) -> None:
    with bind("127.0.0.1", 0) as taken:
        taken.listen()
        port = taken.getsockname()[1]
        assert main([str(write_model()), "--port", str(port)]) == 2
    assert f"port {port}" in capsys.readouterr().err


def test_the_package_alone_says_what_there_is() -> None:
    told = subprocess.run(
        [sys.executable, "-m", "serve"], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert told.returncode == 2
    assert "serve.predict" in told.stderr
    assert "serve.server" in told.stderr


class Client(threading.Thread):
    """Sends requests on kept-alive connections until the server refuses new ones.

    Attributes:
        counts: How its requests ended: "answered", "lost", or an unexpected status.
    """

    def __init__(self, port: int, body: bytes, *, expected: set[str]) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()
        self._port = port
        self._body = body
        self._expected = expected

    def run(self) -> None:
        while True:
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE_S)
            try:
                connection.connect()
            except ConnectionError:
                return
            while connection.sock is not None:
                self.counts[self._ask(connection)] += 1

    def _ask(self, connection: http.client.HTTPConnection) -> str:
        try:
            connection.request("POST", "/v1/predict", self._body)
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            return f"lost: {error!r}"
        if answer.status != 200:
            return f"status {answer.status}"
        best = json.loads(content)["predictions"][0]["class"]
        return "answered" if best in self._expected else f"class {best}"


@pytest.mark.slow
def test_no_request_is_lost_when_the_server_ends_under_load(
    start_process: Start, write_model: WriteModel, picture: Picture
) -> None:
    server = start_process(write_model(), "--device", "cpu", "--threads", "1")
    server.wait_ready()
    clients = [Client(server.port, picture(), expected={"a"}) for _ in range(16)]
    for client in clients:
        client.start()
    end = time.monotonic() + PATIENCE_S
    while any(client.counts["answered"] < 10 for client in clients):
        assert time.monotonic() < end
        time.sleep(0.01)
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(PATIENCE_S) == 0
    for client in clients:
        client.join(PATIENCE_S)
        assert not client.is_alive()
    total = sum((client.counts for client in clients), Counter())
    assert set(total) == {"answered"}
    assert "Traceback" not in server.log


@pytest.mark.slow
def test_a_reload_under_load_changes_the_answers_and_fails_none(
    start_process: Start, write_model: WriteModel, picture: Picture
) -> None:
    path = write_model()
    server = start_process(path, "--device", "cpu", "--threads", "1")
    server.wait_ready()
    clients = [Client(server.port, picture(), expected={"a", "x"}) for _ in range(4)]
    for client in clients:
        client.start()
    aside = path.with_suffix(".new")
    write_model(aside, size=4, labels=("x", "y", "z"))
    os.replace(aside, path)
    server.process.send_signal(signal.SIGHUP)
    server.wait_log("Reloaded mean_colour")
    path.write_bytes(b"no model")
    server.process.send_signal(signal.SIGHUP)
    server.wait_log("Kept the current model 'mean_colour'")
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)
    connection.request("POST", "/v1/predict", picture())
    assert json.load(connection.getresponse())["predictions"][0]["class"] == "x"
    connection.close()
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(PATIENCE_S) == 0
    for client in clients:
        client.join(PATIENCE_S)
    assert set(sum((client.counts for client in clients), Counter())) == {"answered"}


@pytest.mark.slow
def test_a_second_signal_ends_at_once(start_process: Start, write_model: WriteModel) -> None:
    server = start_process(write_model(), "--device", "cpu")
    server.wait_ready()
    with socket.create_connection(("127.0.0.1", server.port)) as half:
        half.sendall(b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n")
        server.process.send_signal(signal.SIGTERM)
        server.wait_log("Draining after SIGTERM")
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(PATIENCE_S) == 128 + signal.SIGINT
    assert "Stopped by a second signal" in server.log
