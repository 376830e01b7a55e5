"""The web server of the live page."""

from __future__ import annotations

import ipaddress
import mimetypes
import os
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from proxy_keras.io.host_names import host_name
from proxy_keras.watching.run_monitor import RunMonitor

PAGE = Path(__file__).parent / "page"
HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
# Browsers wrap an image that is opened alone in a page with inline styles.
IMAGE_HEADERS = {
    "Cache-Control": "private, max-age=86400, immutable",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; "
    "frame-ancestors 'none'",
}

# The registry of Windows may map it to another type.
mimetypes.add_type("text/javascript", ".js")


class WatchServer(uvicorn.Server):
    """A server of the live page of one run; listens at once and answers in `serve_forever`.

    Args:
        monitor: Reads the run.
        host: Address or name to listen on.
        port: Port to listen on; 0: any free one.
        allowed: Further names to accept in the Host header, besides those of this machine. Others
            are refused, because a web page could reach this server through a name that resolves to
            this machine (DNS rebinding).

    Raises:
        OSError: The address does not belong to this machine, or the port is in use.
        UnicodeError: The host is not a valid name.
    """

    def __init__(
        self,
        monitor: RunMonitor,
        host: str = "127.0.0.1",
        port: int = 0,
        allowed: Iterable[str] = (),
    ) -> None:
        self.monitor = monitor
        machine = socket.gethostname().lower()
        # Phones find the machine by its .local name.
        own = ("localhost", machine, f"{machine.partition('.')[0]}.local", host.lower())
        self.names = frozenset({*own, *map(host_name, allowed)})
        self.listening = _listen(host, port)
        self.address, self.port = self.listening.getsockname()[:2]
        app = Starlette(
            routes=[
                Route("/", lambda request: FileResponse(PAGE / "index.html")),
                Route("/favicon.ico", lambda request: FileResponse(PAGE / "icon.svg")),
                Route("/state.json", self._state),
                Route("/sheets/{name}", self._sheet),
                Mount("/page", StaticFiles(directory=PAGE)),
            ],
            middleware=[Middleware(HostMiddleware, names=self.names), Middleware(GZipMiddleware)],
        )
        quiet: dict[str, Any] = {"log_config": None, "log_level": "error", "server_header": False}
        limits: dict[str, Any] = {"http": "h11", "ws": "none", "timeout_graceful_shutdown": 5}
        super().__init__(uvicorn.Config(app, lifespan="off", **quiet, **limits))

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return ipaddress.ip_address(self.address).is_loopback

    def serve_forever(self) -> None:
        """Answer requests until a signal or `should_exit`, then close the port."""
        with self.listening:
            self.run(sockets=[self.listening])

    def _state(self, request: Request) -> Response:
        state = self.monitor.state(request.query_params.get("known"))
        return JSONResponse(state, headers={"Cache-Control": "no-store"})

    def _sheet(self, request: Request) -> Response:
        name = request.path_params["name"]
        try:
            image = self.monitor.sheet(name)
        except OSError as error:
            return PlainTextResponse(f"{name}: {error.strerror}.", 500)
        if image is None:
            return PlainTextResponse("The run has no such image.", 404)
        return Response(image, media_type="image/png", headers=IMAGE_HEADERS)


class HostMiddleware:
    """Middleware that refuses foreign Host headers and adds the security headers.

    Args:
        app: The application.
        names: Names that are accepted; IP addresses always are, as they cannot be rebound.
    """

    def __init__(self, app: ASGIApp, names: frozenset[str]) -> None:
        self._app = app
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        app = self._app
        host = Headers(scope=scope).get("host")
        # Only HTTP/1.0 clients, which are not browsers, leave it out.
        if host is not None and not self._is_accepted(host_name(host)):
            app = PlainTextResponse(
                f"The host {host[:128]!r} is not accepted. To accept it, start the server with "
                "--allowed-host NAME.",
                421,
            )
        await app(scope, receive, send_with_headers)

    def _is_accepted(self, name: str) -> bool:
        return name in self._names or _is_ip_address(name)


def page_url(server: WatchServer, host: str) -> str:
    """Return the URL of the page for a browser on this machine or, if possible, on others."""
    if _is_ip_address(host) and ipaddress.ip_address(host).is_unspecified:
        host = _outbound_address() or socket.gethostname()
    return f"http://{f'[{host}]' if ':' in host else host}:{server.port}/"


def _is_ip_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _listen(host: str, port: int) -> socket.socket:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    # Prefer IPv4 where a name has both, like most clients.
    family, kind, protocol, _, address = min(found, key=lambda one: one[0] != socket.AF_INET)
    listening = socket.socket(family, kind, protocol)
    try:
        # On other systems it would let two servers share a port.
        if os.name == "posix":
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen()
    except OSError:
        listening.close()
        raise
    return listening


def _outbound_address() -> str | None:
    """Return the address of this machine for others; None without a network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Sends nothing: only selects the local address. The network is reserved (RFC 5737).
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        return str(probe.getsockname()[0])
