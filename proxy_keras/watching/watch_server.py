"""The HTTP server of the page."""

from __future__ import annotations

import ipaddress
import json
import os
import socket
import socketserver
import sys
from collections.abc import Iterable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from typing import Any
from urllib.parse import parse_qs

from proxy_keras.watching.run_monitor import RunMonitor

TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
PARTS_AT = {"/": "index.html", "/favicon.ico": "icon.svg"}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'"
)
# A browser puts a picture that is opened alone on a page of its own making, with styles in it.
PICTURE_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class WatchServer(ThreadingHTTPServer):
    """Serves the page of one run; it is bound at once, and answers in `serve_forever`.

    Args:
        monitor: Tells of the run.
        host: Address or name to listen on.
        port: The port; 0: any free one.
        allowed: Names that it answers to beside the machine's own: pages of other sites could
            otherwise reach it through the browser, by a name of theirs that resolves to it.

    Raises:
        OSError: The address is not one of this machine, or the port is in use.
        UnicodeError: The host is no name.
    """

    daemon_threads = True
    # Elsewhere it would let two servers have one port.
    allow_reuse_address = os.name == "posix"

    def __init__(
        self,
        monitor: RunMonitor,
        host: str = "127.0.0.1",
        port: int = 0,
        allowed: Iterable[str] = (),
    ) -> None:
        self.monitor = monitor
        self.parts = _page_parts()
        self.names = frozenset(
            {
                *("localhost", socket.gethostname().lower(), host.lower()),
                # By that name phones find it.
                f"{socket.gethostname().partition('.')[0].lower()}.local",
                *map(host_name, allowed),
            }
        )
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        # Where a name has addresses of both kinds, other programs try IPv4 at least.
        chosen = min(found, key=lambda one: one[0] != socket.AF_INET)
        self.address_family = chosen[0]
        # The types of the standard library know the pairs of IPv4 alone, not IPv6's four.
        super().__init__(chosen[4], _Handler)  # type: ignore[arg-type]

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self.server_address[1])

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it."""
        return ipaddress.ip_address(str(self.server_address[0])).is_loopback

    def server_bind(self) -> None:
        """Binds, and does not look up the machine's full name, which may take seconds."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.port

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing of browsers that went away."""
        if not isinstance(sys.exception(), (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    server: WatchServer
    timeout = 30.0
    server_version = "proxy_keras"
    sys_version = ""

    def do_GET(self) -> None:
        """Answers with the page, a part of it, a picture, or what is known of the run."""
        if not self._is_for_us():
            self._refuse(
                HTTPStatus.MISDIRECTED_REQUEST,
                f"This server does not answer to the host {self.headers['Host'][:128]!r}. Start it "
                "with --allowed-host NAME if it shall.",
            )
            return
        path, _, query = self.path.partition("?")
        folder, _, name = path.removeprefix("/").rpartition("/")
        if path == "/state.json":
            known = parse_qs(query).get("known", [None])[0]
            state = self.server.monitor.state(known)
            self._send(json.dumps(state, allow_nan=False).encode(), "application/json", "no-store")
        elif folder == "sheets":
            self._send_sheet(name)
        elif path in PARTS_AT:
            self._send_part(PARTS_AT[path])
        elif folder == "page" and name in self.server.parts:
            self._send_part(name)
        else:
            self._refuse(HTTPStatus.NOT_FOUND, "There is nothing here. The page is at /.")

    do_HEAD = do_GET

    def do_POST(self) -> None:
        """Refuses what is not GET or HEAD."""
        self._refuse(
            HTTPStatus.METHOD_NOT_ALLOWED, "This server only answers GET and HEAD.", "GET, HEAD"
        )

    do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do_TRACE = do_CONNECT = do_POST

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuses what is no request that it knows, in plain text like all else."""
        status = HTTPStatus(code)
        self.close_connection = True
        self._refuse(status, f"{message or status.phrase}.")

    def log_message(self, format: str, *args: Any) -> None:
        """Keeps requests off the terminal; the page asks every other second."""

    def _send_part(self, name: str) -> None:
        self._send(self.server.parts[name], TYPES[name.rpartition(".")[2]], "no-cache")

    def _send_sheet(self, name: str) -> None:
        try:
            picture = self.server.monitor.sheet(name)
        except OSError as error:
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, f"{name}: {error.strerror}.")
            return
        if picture is None:
            self._refuse(HTTPStatus.NOT_FOUND, "The run has no such picture.")
        else:
            self._send(picture, "image/png", "private, max-age=86400, immutable")

    def _is_for_us(self) -> bool:
        host = self.headers.get("Host")
        # Browsers always send it; a page that made its own name point here is told by it. A number
        # cannot be made to point elsewhere.
        if host is None:
            return True
        name = host_name(host)
        return name in self.server.names or _is_ip_address(name)

    def _refuse(self, status: HTTPStatus, message: str, allow: str | None = None) -> None:
        body = f"{message}\n".encode()
        self._send(body, "text/plain; charset=utf-8", "no-store", status=status, allow=allow)

    def _send(
        self,
        body: bytes,
        kind: str,
        caching: str,
        *,
        status: HTTPStatus = HTTPStatus.OK,
        allow: str | None = None,
    ) -> None:
        self.send_response(status)
        headers = {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            "Cache-Control": caching,
            "Content-Security-Policy": PICTURE_POLICY if kind == "image/png" else POLICY,
        }
        for name, value in {**headers, **HEADERS, **({"Allow": allow} if allow else {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def page_url(server: WatchServer, host: str) -> str:
    """The address of the page, as this machine's browser, or that of another one, takes it."""
    if _is_ip_address(host) and ipaddress.ip_address(host).is_unspecified:
        host = _outbound_address() or socket.gethostname()
    return f"http://{f'[{host}]' if ':' in host else host}:{server.port}/"


def host_name(header: str) -> str:
    """The name in a Host header, in lower case: without port, brackets and a dot at its end."""
    name, colon, port = header.rpartition(":")
    name = name if colon and (not port or port.isdecimal()) and not name.endswith(":") else header
    return name.strip("[]").removesuffix(".").lower()


def _is_ip_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _outbound_address() -> str | None:
    """The address by which other machines reach this one; None: it has no network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        try:
            # Sends nothing: the system only looks up from which address it would. That network is
            # kept for documents (RFC 5737).
            asking.connect(("192.0.2.1", 9))
        except OSError:
            return None
        return str(asking.getsockname()[0])


def _page_parts() -> dict[str, bytes]:
    """The files of the page by name."""
    return {
        file.name: file.read_bytes()
        for file in resources.files("proxy_keras.watching").joinpath("page").iterdir()
        if file.name.rpartition(".")[2] in TYPES
    }
