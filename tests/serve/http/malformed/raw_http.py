"""Invalid HTTP and unknown paths, and the statuses they get."""

from __future__ import annotations

import contextlib
import json
import re
import socket
from collections.abc import Iterator
from itertools import product

import numpy as np

from tests.serve.http.malformed.sent import GETS, INFER, LENGTH, PAGES, POSTS, SIZE, TIMEOUT_S, Sent
from tests.serve.http.malformed.tensors import tensor


def wrong_places() -> Iterator[Sent]:
    for path, method in product(POSTS, ("GET", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "X")):
        yield Sent(f"{method} {path}", path, method=method)
    for path, method in product(GETS + PAGES, ("POST", "PUT", "PATCH", "DELETE", "TRACE", "X")):
        yield Sent(f"{method} {path}", path, method=method)
    for path in (
        *("//", "/v1", "/v1/", "/v2/", "/v3", "/V2", "/v2/models", "/v2/models/", "/v1/predict/"),
        *("/v2/models/other", "/v2/models/mean_colour/", "/v2/models/mean_colour/versions"),
        *("/v2/models/mean_colour/versions/2", "/v2/models/mean_colour/versions/1.0/ready"),
        *("/v2/models/mean_colour/versions/" + "9" * 5000, "/v2/models/%00", "/v2/models/%ff"),
        *("/v2/models/..%2f..%2fetc%2fpasswd", "/v2/models/../../../etc/passwd", "/../etc/passwd"),
        *("/page/", "/page/..", "/page/../server.py", "/page/%2e%2e/server.py"),
        *("/page/..%2fserver.py", "/page/..%5cserver.py", "/page/%2fetc%2fpasswd"),
        *("/page/script.js/", "/page/script.js%00", "/page/.%2fscript.js", "/page/__init__.py"),
        *("/page/%c0%ae%c0%ae/server.py", "/" + "a/" * 2000, "/" + "%41" * 3000, "/%", "/%zz"),
        *("/docs/", "/redoc", "/openapi.json/", "/metrics/", "/.env", "/.git/config", "/*"),
    ):
        yield Sent(f"GET {path[:40]}", path, method="GET")


def head(
    *lines: bytes,
    start: bytes = b"POST /v1/predict HTTP/1.1",
    host: bool = True,
    last: bool = True,
) -> bytes:
    hosts = (b"Host: 127.0.0.1",) if host else ()
    closes = (b"Connection: close",) if last else ()
    return b"\r\n".join((start, *hosts, *closes, *lines, b"", b""))


def chunked(body: bytes) -> bytes:
    return head(b"Transfer-Encoding: chunked") + body


def broken_http() -> Iterator[tuple[str, bytes]]:
    ping = b"GET /v2/nothing HTTP/1.1"
    for value in (
        *(b"-1", b"+5", b"5.0", b"0x5", b"five", b"", b"5 5", b"5,6", b"5, 5, 6", b"\xb2"),
        *(b"1_0", b"9" * 25, b"9" * 5000, b"33554433", b"99999999999"),
    ):
        yield f"Content-Length {value[:12]!r}", head(b"Content-Length: " + value) + b"hello"
    two = (b"Content-Length: 5", b"Content-Length: 6")
    yield "two lengths", head(*two) + b"hello!"
    for length in (6, 100, 10_000):
        yield f"{length} for 5 bytes", head(b"Content-Length: %d" % length) + b"hello"
    for length in (0, 1, 4):
        # The remainder is parsed as the next request.
        size = b"Content-Length: %d" % length
        yield f"{length} for 5 bytes", head(size, last=False) + b"hello\r\n\r\n"
    both = (b"Content-Length: 5", b"Transfer-Encoding: chunked")
    yield "length and chunks", head(*both) + b"5\r\nhello\r\n0\r\n\r\n"
    for coding in (b"gzip", b"chunked, chunked", b"xchunked", b"identity", b"", b"chunked\x0b"):
        yield (
            f"Transfer-Encoding {coding!r}",
            head(b"Transfer-Encoding: " + coding) + b"5\r\nhello\r\n0\r\n\r\n",
        )
    yield "two codings", head(*[b"Transfer-Encoding: chunked"] * 2) + b"0\r\n\r\n"
    for what, body in {
        "no size": b"\r\nhello\r\n0\r\n\r\n",
        "size no number": b"zz\r\nhello\r\n0\r\n\r\n",
        "size negative": b"-5\r\nhello\r\n0\r\n\r\n",
        "size huge": b"f" * 16 + b"\r\nhello",
        "size of many digits": b"0" * 5000 + b"5\r\nhello\r\n0\r\n\r\n",
        "size in 0x": b"0x5\r\nhello\r\n0\r\n\r\n",
        "too short": b"2\r\nhello\r\n0\r\n\r\n",
        "too long": b"8\r\nhello\r\n0\r\n\r\n",
        "no end": b"5\r\nhello\r\n",
        "cut": b"5\r\nhel",
        "no line end": b"5hello0",
        "long extension": b"5;" + b"a" * 100_000 + b"\r\nhello\r\n0\r\n\r\n",
        "bad trailer": b"5\r\nhello\r\n0\r\nno colon\r\n\r\n",
        "40 MB": (b"400000\r\n" + bytes(0x400000) + b"\r\n") * 10 + b"0\r\n\r\n",
        "one byte each": b"1\r\na\r\n" * 5000 + b"0\r\n\r\n",
    }.items():
        yield f"chunks: {what}", chunked(body)
    for start in (
        *(b"", b" ", b"GET", b"GET /", b"GET / HTTP", b"GET / HTTP/1"),
        *(b"GET / http/1.1", b"GET / FTP/1.1", b"GET  / HTTP/1.1"),
        *(b"/ GET HTTP/1.1", b"GET / HTTP/1.1 more", b"G\0T / HTTP/1.1", b"GET /\0 HTTP/1.1"),
        *(b"GET /\xff\xfe HTTP/1.1", b"G(T / HTTP/1.1", b"GET /a b HTTP/1.1", b"\tGET / HTTP/1.1"),
        *(b"GET /" + b"a" * 100_000 + b" HTTP/1.1", b"A" * 100_000 + b" / HTTP/1.1"),
        *(b"CONNECT example.org:443 HTTP/1.1", b"OPTIONS * HTTP/1.1", b"TRACE / HTTP/1.1"),
    ):
        yield f"start {start[:30]!r}", head(start=start)
    for line in (
        *(b"no colon", b": no name", b"a b: c", b"a\0b: c", b"a: b\0c", b"\xe9: a", b"a: \x01"),
        *(b" folded: at once", b"a : b", b"(a): b", b"a\rb: c", b"a: b\rc"),
        *(b"a: " + b"b" * 200_000, b"b" * 200_000 + b": a"),
        b"\r\n".join(b"a%d: b" % n for n in range(20_000)),
    ):
        yield f"header {line[:20]!r}", head(line, start=ping)
    yield "no host", head(host=False, start=ping)
    yield "two hosts", head(b"Host: 127.0.0.1", start=ping)
    for host in (b"", b"example.org", b"127.0.0.1.example.org", b"a" * 5000, b"a b"):
        yield f"host {host[:20]!r}", head(b"Host: " + host, host=False, start=b"GET / HTTP/1.1")
    yield "other host in the path", head(start=b"GET http://example.org/ HTTP/1.1")
    yield "half a head", b"POST /v1/predict HTTP/1.1\r\nHost: 127"
    yield "line ends of CR", b"GET / HTTP/1.1\rHost: 127.0.0.1\r\r"
    yield "only line ends", b"\r\n" * 5000
    yield "zeros", bytes(10_000)
    yield "noise", np.random.default_rng(5).bytes(10_000)
    yield "TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500)
    yield "HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    expect = (b"Expect: 100-continue", b"Content-Length: 99999999999")
    yield "expects to send too much", head(*expect)
    yield "expects something", head(b"Expect: more", b"Content-Length: 5") + b"hello"
    upgrade = (b"Connection: Upgrade", b"Sec-WebSocket-Key: a", b"Sec-WebSocket-Version: 13")
    for protocol in (b"websocket", b"h2c", b"\xff"):
        yield f"upgrade to {protocol!r}", head(b"Upgrade: " + protocol, *upgrade, start=ping)
    pixels = SIZE * SIZE * 3
    entry = tensor(parameters={"binary_data_size": pixels})
    del entry["data"]
    text = json.dumps({"inputs": [entry]}).encode()
    lengths = [b"%s: %d" % (LENGTH.encode(), length) for length in (len(text), 5)]
    size = b"Content-Length: %d" % (len(text) + pixels)
    start = b"POST %s HTTP/1.1" % INFER.encode()
    for order in (lengths, lengths[::-1]):
        yield "two JSON lengths", head(size, *order, start=start) + text + bytes(pixels)


def exchange(port: int, sent: bytes) -> list[int]:
    """Return the statuses of all answers until the server closes; none is a clean close."""
    received = bytearray()
    with socket.create_connection(("127.0.0.1", port), timeout=3 * TIMEOUT_S) as connection:
        # The server may close after refusing, before everything is sent.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(sent)
        connection.settimeout(0.3)
        with contextlib.suppress(ConnectionResetError):
            while piece := more_of(connection):
                received += piece
    return statuses_in(bytes(received))


def more_of(connection: socket.socket) -> bytes:
    """Receive the next bytes; if the server waits for more, signal the end."""
    try:
        return connection.recv(65_536)
    except TimeoutError:
        connection.settimeout(3 * TIMEOUT_S)
        connection.shutdown(socket.SHUT_WR)
        return connection.recv(65_536)


def statuses_in(received: bytes) -> list[int]:
    statuses = []
    while received:
        top, _, rest = received.partition(b"\r\n\r\n")
        match = re.match(rb"HTTP/1\.1 (\d{3}) ", top)
        assert match, f"no answer of HTTP: {received[:80]!r}"
        status = int(match[1])
        length = re.search(rb"(?i)content-length: (\d+)", top)
        # Without a length, the body ends when the server closes.
        received = rest[int(length[1]) :] if length else b""
        if status != 100:
            statuses.append(status)
    return statuses
