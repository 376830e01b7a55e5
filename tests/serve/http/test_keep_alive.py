"""How long connections stay open between two requests."""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest

from serve.server_options import build_parser, parse_settings
from serve.settings import Settings

REQUEST = b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"


def _connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=30)


def _answer(connection: socket.socket) -> int:
    response = http.client.HTTPResponse(connection)
    response.begin()
    response.read()
    return response.status


def test_an_idle_connection_is_closed_after_the_time_set(run_server: Callable[..., Any]) -> None:
    with _connect(run_server(keep_alive_s=0.4).port) as connection:
        connection.sendall(REQUEST)
        assert _answer(connection) == 200
        start = time.monotonic()
        assert connection.recv(1) == b""
        assert 0.3 <= time.monotonic() - start < 5.0


def test_a_request_after_a_long_pause_has_its_whole_time(run_server: Callable[..., Any]) -> None:
    # The pause is longer than what a request's head may take.
    with _connect(run_server(keep_alive_s=20.0, timeout_s=0.8).port) as connection:
        for _ in range(2):
            connection.sendall(REQUEST[:20])
            time.sleep(0.2)
            connection.sendall(REQUEST[20:])
            assert _answer(connection) == 200
            time.sleep(1.2)
        connection.sendall(REQUEST[:20])
        start = time.monotonic()
        assert connection.recv(1) == b""
        assert 0.6 <= time.monotonic() - start < 5.0


def test_the_option_is_in_seconds() -> None:
    parse = build_parser().parse_args
    assert parse_settings(parse(["a.onnx"])).keep_alive_s == 5.0
    assert parse_settings(parse(["a.onnx", "--keep-alive", "75"])).keep_alive_s == 75.0


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_another_time_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="`keep_alive_s` must be finite and >= 0"):
        Settings(keep_alive_s=value)
