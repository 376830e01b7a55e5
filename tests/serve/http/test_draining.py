"""Tests of serve/connection.py and serve/draining.py over real sockets."""

from __future__ import annotations

import asyncio
import http.client
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from serve import draining
from serve.server import bind, build_server

Run = Callable[..., Any]
Picture = Callable[..., bytes]

PATIENCE_S = 20.0


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), PATIENCE_S)


def request_of(body: bytes) -> bytes:
    head = f"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def answer_on(connection: socket.socket) -> http.client.HTTPResponse:
    """Read the next answer on a connection completely."""
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    answer.content = answer.read()  # type: ignore[attr-defined]
    return answer


def is_closed(connection: socket.socket) -> bool:
    """Wait for the other side to close; any data before that is an error."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.005)


class Gate:
    """Blocks a model until it is opened."""

    def __init__(self, server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.served = server.service.models.get()
        self.is_open = threading.Event()
        run = self.served.current.model.run

        def held_back(images: Any) -> Any:
            assert self.is_open.wait(PATIENCE_S)
            return run(images)

        monkeypatch.setattr(self.served.current.model, "run", held_back)


def test_answers_are_not_delayed(run_server: Run) -> None:
    # Head and body are two packets: with Nagle's algorithm, the second would wait 40 ms for the
    # client to acknowledge the first.
    server = run_server()
    with connect(server.port) as connection:
        connection.sendall(b"GET /v2 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert answer_on(connection).status == 200
        [served] = server.server.server_state.connections
        accepted = served.transport.get_extra_info("socket")
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


def test_an_idle_server_ends_at_once(run_server: Run) -> None:
    server = run_server()
    server.stop()
    server.thread.join(PATIENCE_S)
    assert not server.thread.is_alive()
    with pytest.raises(ConnectionRefusedError):
        connect(server.port)


def test_a_connection_that_only_the_kernel_has_accepted_is_answered(
    make_service: Run, picture: Picture
) -> None:
    listening = bind("127.0.0.1", 0)
    server = build_server(make_service())

    async def end_with_a_full_backlog() -> list[socket.socket]:
        server.config.load()
        server.lifespan = server.config.lifespan_class(server.config)
        await server.startup([listening])
        # The event loop does not run between these and the shutdown.
        clients = [connect(listening.getsockname()[1]) for _ in range(3)]
        for client in clients[1:]:
            client.sendall(request_of(picture()))
        late = threading.Timer(0.1, clients[0].sendall, [request_of(picture())])
        late.start()
        await server.shutdown([listening])
        return clients

    for client in asyncio.run(end_with_a_full_backlog()):
        with client:
            answer = answer_on(client)
            assert (answer.status, answer.headers["Connection"]) == (200, "close")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux alone filters packets")
def test_no_connection_is_made_while_the_server_closes(
    run_server: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, outcomes = draining._accept, []

    def accept_and_connect(listening: socket.socket) -> socket.socket | None:
        connection = real(listening)
        if connection is None:
            with socket.socket() as late:
                late.settimeout(0.2)
                try:
                    late.connect(listening.getsockname())
                    outcomes.append("connected")
                except TimeoutError:
                    outcomes.append("timed out")
        return connection

    monkeypatch.setattr(draining, "_accept", accept_and_connect)
    server = run_server()
    server.stop()
    server.thread.join(PATIENCE_S)
    assert outcomes == ["timed out"]
    with pytest.raises(ConnectionRefusedError):
        connect(server.port)


def test_a_request_under_way_is_answered_and_told_that_it_is_the_last(
    run_server: Run, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = run_server()
    gate = Gate(server, monkeypatch)
    with connect(server.port) as connection:
        connection.sendall(request_of(picture()))
        until(lambda: gate.served.concurrency.active == 1)
        server.stop()
        until(lambda: server.service.is_draining)
        gate.is_open.set()
        answer = answer_on(connection)
        assert answer.status == 200
        assert answer.headers["Connection"] == "close"
        assert is_closed(connection)


def test_a_kept_connection_may_ask_once_more_and_new_ones_are_taken(
    run_server: Run, picture: Picture
) -> None:
    server = run_server()
    with connect(server.port) as kept:
        kept.sendall(request_of(picture()))
        assert "Connection" not in answer_on(kept).headers
        server.stop()
        until(lambda: server.service.is_draining)
        with connect(server.port) as new:
            new.sendall(b"GET /v2/health/ready HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert answer_on(new).status == 503
            assert is_closed(new)
        kept.sendall(request_of(picture()))
        answer = answer_on(kept)
        assert (answer.status, answer.headers["Connection"]) == (200, "close")
        assert is_closed(kept)


def test_an_idle_connection_is_closed_and_does_not_hold_the_end_up(run_server: Run) -> None:
    server = run_server()
    with connect(server.port) as idle:
        server.stop()
        assert is_closed(idle)
        server.thread.join(PATIENCE_S)
        assert not server.thread.is_alive()


def test_a_request_that_has_begun_to_arrive_is_awaited(run_server: Run, picture: Picture) -> None:
    server = run_server()
    request = request_of(picture())
    with connect(server.port) as connection:
        connection.sendall(request[:30])
        time.sleep(0.05)
        server.stop()
        # Until new connections are no longer accepted.
        until(lambda: _refuses(server.port))
        time.sleep(0.3)
        connection.sendall(request[30:])
        answer = answer_on(connection)
        assert (answer.status, answer.headers["Connection"]) == (200, "close")


def test_what_is_not_answered_in_time_is_dropped(
    run_server: Run, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = run_server(drain_s=1.0)
    gate = Gate(server, monkeypatch)
    with connect(server.port) as connection:
        connection.sendall(request_of(picture()))
        until(lambda: gate.served.concurrency.active == 1)
        server.stop()
        server.thread.join(PATIENCE_S)
        assert not server.thread.is_alive()
        gate.is_open.set()


@pytest.mark.parametrize(
    "beginning",
    [
        b"",
        b"GET /v2 HT",
        # The answer is sent before the body, which never ends.
        b"POST /nothing HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
def test_a_connection_that_asks_nothing_is_closed(run_server: Run, beginning: bytes) -> None:
    server = run_server(timeout_s=0.2)
    with connect(server.port) as connection:
        connection.sendall(beginning)
        if beginning.startswith(b"POST"):
            assert answer_on(connection).status == 404
        start = time.monotonic()
        connection.settimeout(0.02)
        while time.monotonic() < start + PATIENCE_S:
            try:
                # Sending single bytes must not extend the timeout.
                connection.sendall(b"1\r\nx\r\n" if beginning.startswith(b"POST") else b"")
                if connection.recv(1) == b"":
                    break
            except TimeoutError:
                continue
            except ConnectionError:
                break
        else:
            pytest.fail("the connection was never closed")


def test_a_slow_body_is_answered_408_and_closed(run_server: Run) -> None:
    server = run_server(timeout_s=0.1)
    with connect(server.port) as connection:
        connection.sendall(request_of(bytes(100))[:-50])
        answer = answer_on(connection)
        assert (answer.status, answer.headers["Connection"]) == (408, "close")
        assert is_closed(connection)


def test_a_body_too_large_is_answered_while_it_is_sent(run_server: Run, picture: Picture) -> None:
    server = run_server(max_body=1000)
    with connect(server.port) as connection:
        connection.sendall(request_of(bytes(300_000)))
        assert answer_on(connection).status == 413
        # The rest was discarded, and the connection is still usable.
        connection.sendall(request_of(picture()))
        assert answer_on(connection).status == 200


def test_a_client_that_leaves_frees_its_place(
    run_server: Run, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = run_server(max_wait_s=30.0)
    served = server.service.models.get()
    with connect(server.port) as connection:
        connection.sendall(request_of(picture()))
        until(lambda: served.batcher.queued_images == 1)
    until(lambda: served.batcher.queued_images == served.concurrency.active == 0)


def _refuses(port: int) -> bool:
    try:
        connect(port).close()
    except ConnectionError:
        return True
    return False
