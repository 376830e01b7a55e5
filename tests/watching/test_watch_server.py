"""Tests of proxy_keras/watching/watch_server.py, over sockets of this machine."""

from __future__ import annotations

import gzip
import json
import re
import socket

import pytest

from proxy_keras.watching import watch_server as module
from proxy_keras.watching.watch_server import WatchServer, page_url


def test_the_page_its_parts_and_the_state_are_answered(run, serve, ask) -> None:
    run.begin()
    run.train(1)
    server = serve()
    status, headers, page = ask(server, "/")
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    parts = re.findall(r'(?:src|href)="(page/[a-z.]+)"', page.decode())
    assert sorted(parts) == ["page/icon.svg", "page/script.js", "page/style.css"]
    kinds = {"js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8"}
    for file in module.PAGE.iterdir():
        status, headers, body = ask(server, f"/page/{file.name}")
        assert (status, body) == (200, file.read_bytes())
        assert headers["Content-Type"] == kinds.get(file.suffix[1:], headers["Content-Type"])
    assert ask(server, "/favicon.ico")[1]["Content-Type"] == "image/svg+xml"

    status, headers, body = ask(server, "/state.json")
    assert (status, headers["Content-Type"]) == (200, "application/json")
    assert headers["Cache-Control"] == "no-store"
    told = json.loads(body)
    assert told["run"]["history"]["epoch"] == [1]
    again = json.loads(ask(server, f"/state.json?known={told['version']}")[2])
    assert again["version"] == told["version"] and "run" not in again


def test_answers_are_compressed_and_unchanged_files_are_not_sent_again(run, serve, ask) -> None:
    server = serve()
    _, headers, body = ask(server, "/page/script.js", **{"Accept-Encoding": "gzip"})
    assert headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(body) == (module.PAGE / "script.js").read_bytes()
    etag = headers["ETag"]
    assert headers["Cache-Control"] == "no-cache"
    assert ask(server, "/page/script.js", **{"If-None-Match": etag})[0] == 304


def test_a_picture_is_answered_with_its_bytes_and_may_be_kept(run, serve, ask) -> None:
    run.begin()
    content = run.draw(2)
    server = serve()
    (sheet,) = json.loads(ask(server, "/state.json")[2])["run"]["sheets"]
    status, headers, body = ask(server, f"/{sheet['address']}")
    assert (status, headers["Content-Type"], body) == (200, "image/png", content)
    assert "immutable" in headers["Cache-Control"]
    # Browsers wrap an image in a page with inline styles.
    assert "style-src 'unsafe-inline'" in headers["Content-Security-Policy"]
    assert "script-src" not in headers["Content-Security-Policy"]
    run.draw(2, "blue")
    (other,) = json.loads(ask(server, "/state.json")[2])["run"]["sheets"]
    assert other["address"] != sheet["address"]


def test_a_picture_that_the_system_refuses_is_an_error_without_a_path(
    run, serve, ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.begin()
    server = serve()

    def refuse(name: str) -> bytes:
        raise PermissionError(13, "Permission denied", "/secret/place")

    monkeypatch.setattr(server.monitor, "sheet", refuse)
    status, _, body = ask(server, "/sheets/proxies_0001.png")
    assert (status, body) == (500, b"proxies_0001.png: Permission denied.")


@pytest.mark.parametrize("path", ["/", "/state.json", "/nothing"])
def test_every_answer_keeps_the_browser_to_this_server(run, serve, ask, path: str) -> None:
    headers = ask(serve(), path)[1]
    policy = dict(
        part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";")
    )
    assert policy["default-src"] == "'none'"
    for what in ("script-src", "style-src", "img-src", "connect-src"):
        assert policy[what] == "'self'"
    for what in ("base-uri", "form-action", "frame-ancestors"):
        assert policy[what] == "'none'"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "Access-Control-Allow-Origin" not in headers
    assert "Server" not in headers


@pytest.mark.parametrize(
    "path",
    [
        "/config.json",
        "/sheets/../config.json",
        "/sheets/%2e%2e/config.json",
        "/sheets/..%2fconfig.json",
        "/sheets/....//config.json",
        "/sheets/",
        "/sheets/proxies_0009.png",
        "/sheets/proxies_0003.png",
        "/sheets//etc/passwd",
        "/page/../server.py",
        "/page/__init__.py",
        "/page/",
        "/index.html",
        "/../../etc/passwd",
        "http://localhost/state.json",
        "*",
    ],
)
def test_nothing_else_is_there(run, serve, ask, path: str) -> None:
    run.begin()
    run.draw(2)
    (run.path / "sheets" / "proxies_0003.png").symlink_to(run.path / "config.json")
    status, headers, body = ask(serve(), path)
    assert (status, headers["Content-Type"]) == (404, "text/plain; charset=utf-8")
    assert b"small_cnn" not in body and b"root:" not in body


@pytest.mark.parametrize(
    "method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT"]
)
def test_it_only_reads(run, serve, ask, method: str) -> None:
    run.begin()
    status, headers, body = ask(serve(), "/state.json", method)
    assert (status, set(headers["Allow"].split(", "))) == (405, {"GET", "HEAD"})
    assert body == b"Method Not Allowed"
    assert sorted(path.name for path in run.path.iterdir()) == ["config.json", "run.json"]


def test_head_is_get_without_the_body(run, serve, ask) -> None:
    server = serve()
    for path in ("/", "/page/style.css", "/nothing"):
        got, head = ask(server, path), ask(server, path, "HEAD")
        assert head[0] == got[0] and head[2] == b""
        assert int(head[1]["Content-Length"]) == len(got[2]) > 0
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(b"HEAD / HTTP/1.0\r\n\r\n")
        with connection.makefile("rb") as answer:
            assert answer.read().endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8765", 200),
        ("localhost", 200),
        ("LOCALHOST.:80", 200),
        ("[::1]:8765", 200),
        ("192.168.0.7:8765", 200),
        ("board.example.org", 200),
        ("board.example.org:443", 200),
        ("evil.example.org", 421),
        ("localhost.evil.example.org", 421),
        ("127.0.0.1.evil.example.org", 421),
        ("evil.example.org:127.0.0.1", 421),
        ("", 421),
        ("[", 421),
    ],
)
def test_a_name_that_others_made_is_not_answered(run, serve, ask, host: str, status: int) -> None:
    run.begin()
    answer = ask(serve(allowed=["Board.example.org:80"]), "/state.json", Host=host)
    assert answer[0] == status
    if status == 421:
        assert b"--allowed-host NAME" in answer[2] and b"small_cnn" not in answer[2]


def test_the_machine_s_own_names_are_answered(serve, ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "Box.example.org")
    server = serve(host="0.0.0.0")
    assert not server.is_loopback
    for name in ("box.example.org", "box.local", "localhost", "10.0.0.1"):
        assert ask(server, "/", Host=f"{name}:{server.port}")[0] == 200
    assert ask(server, "/", Host="box")[0] == 421


@pytest.mark.parametrize(
    ("sent", "first"),
    [
        (b"GARBAGE\r\n\r\n", b"HTTP/1.1 400 "),
        (b"GET /" + b"a" * 65536 + b" HTTP/1.1\r\n\r\n", b"HTTP/1.1 400 "),
        (b"GET / HTTP/1.1\r\n\r\n", b"HTTP/1.1 400 "),
        (b"GET http://[/ HTTP/1.0\r\n\r\n", b"HTTP/1.1 404 "),
        (b"BREW / HTTP/1.0\r\n\r\n", b"HTTP/1.1 405 "),
        # HTTP/1.0 has no Host header.
        (b"GET / HTTP/1.0\r\n\r\n", b"HTTP/1.1 200 "),
    ],
    ids=["garbage", "long path", "no host", "no address", "unknown method", "HTTP/1.0"],
)
def test_what_is_no_request_is_refused_in_plain_text(
    serve, capfd: pytest.CaptureFixture[str], sent: bytes, first: bytes
) -> None:
    with socket.create_connection(("127.0.0.1", serve().port), timeout=10) as connection:
        connection.sendall(sent)
        with connection.makefile("rb") as answer:
            body = answer.read()
    assert body.startswith(first)
    assert b"200" in first or b"<" not in body
    assert capfd.readouterr() == ("", "")


def test_a_browser_that_goes_away_is_no_event(
    run, serve, ask, capfd: pytest.CaptureFixture[str]
) -> None:
    server = serve()
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(b"GET /state.json HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert ask(server, "/")[0] == 200
    assert capfd.readouterr() == ("", "")


def test_a_port_has_one_server(serve) -> None:
    server = serve()
    with pytest.raises(OSError, match="in use"):
        WatchServer(server.monitor, port=server.port)


def test_the_address_is_one_that_a_browser_takes(serve, monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve()
    port = server.port
    assert server.is_loopback
    assert page_url(server, "127.0.0.1") == f"http://127.0.0.1:{port}/"
    assert page_url(server, "::1") == f"http://[::1]:{port}/"
    assert page_url(server, "box.example.org") == f"http://box.example.org:{port}/"
    monkeypatch.setattr(module, "_outbound_address", lambda: "192.168.0.7")
    assert page_url(server, "0.0.0.0") == f"http://192.168.0.7:{port}/"
    assert page_url(server, "::") == f"http://192.168.0.7:{port}/"
    monkeypatch.setattr(module, "_outbound_address", lambda: None)
    monkeypatch.setattr(socket, "gethostname", lambda: "box")
    assert page_url(server, "0.0.0.0") == f"http://box:{port}/"


def test_the_number_outside_is_one_of_this_machine() -> None:
    number = module._outbound_address()
    if number is not None:
        with socket.socket() as listening:
            listening.bind((number, 0))
