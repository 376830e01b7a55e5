"""Access control: the Host header and the API key of every request."""

from __future__ import annotations

import hmac
import ipaddress
import time

from fastapi import Response
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve.responses import error_response
from serve.settings import Settings
from serve.telemetry import Telemetry

OPEN_PATHS = frozenset({"/", "/docs", "/openapi.json", "/v2/health/live", "/v2/health/ready"})
"""Paths without an API key: health probes, and what a browser opens first."""

OPEN_FOLDER = "/page/"
"""The files of the page need no key either."""


class AccessMiddleware:
    """ASGI middleware that refuses wrong hosts and API keys, and counts all requests.

    Args:
        app: The application to protect.
        settings: The host names and the key.
        telemetry: Counts requests and refusals.
    """

    def __init__(self, app: ASGIApp, *, settings: Settings, telemetry: Telemetry) -> None:
        self._app = app
        self._hosts = settings.hosts
        self._key = None if settings.api_key is None else settings.api_key.encode("ascii")
        self._telemetry = telemetry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request or refuse it; see ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500

        async def observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        start = time.perf_counter()
        self._telemetry.request_began()
        try:
            refusal = self._refusal(scope)
            if refusal is not None:
                self._telemetry.refused(refusal.status_code)
            await (refusal or self._app)(scope, receive, observed)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            model = scope.get("state", {}).get("model", "")
            elapsed_s = time.perf_counter() - start
            self._telemetry.request_ended(route, model, status, elapsed_s)

    def _refusal(self, scope: Scope) -> Response | None:
        if self._hosts is None and self._key is None:
            return None
        headers = Headers(scope=scope)
        host = headers.get("host")
        # Browsers always send Host, so this stops a page whose own host name resolves to us.
        if self._hosts is not None and host is not None and host_name(host) not in self._hosts:
            return error_response(
                f"This server does not accept the host {host[:128]!r}. Start it with "
                "--allowed-host NAME to allow it.",
                status=421,
            )
        if self._key is None or self._is_open(scope["path"]) or self._has_key(headers):
            return None
        return error_response(
            "This server requires an API key: Authorization: Bearer KEY, or X-API-Key: KEY.",
            status=401,
            headers={"WWW-Authenticate": "Bearer"},
        )

    def _is_open(self, path: str) -> bool:
        return path in OPEN_PATHS or path.startswith(OPEN_FOLDER)

    def _has_key(self, headers: Headers) -> bool:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        given = token.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")
        # In constant time, so that the key cannot be guessed byte by byte.
        return hmac.compare_digest(given.encode("latin-1"), self._key or b"")


def host_name(host: str) -> str:
    """Return a Host header in lower case, without its port and the brackets of IPv6."""
    name = host.strip().lower()
    if name.startswith("["):
        return name[1:].partition("]")[0]
    return name.partition(":")[0].removesuffix(".")


def hosts_for(bound: str, allowed: tuple[str, ...]) -> frozenset[str] | None:
    """Return the host names that a server accepts.

    On a loopback address these are only the names of this machine: otherwise, pages of other sites
    could reach the server through the browser (DNS rebinding).

    Args:
        bound: Address or name that the server listens on.
        allowed: Further names. If empty, a server on any other address accepts all names.

    Returns:
        Names in lower case without port; None accepts all.
    """
    names = {host_name(name) for name in allowed}
    if is_loopback(bound):
        names |= {"localhost", "127.0.0.1", "::1"}
    return frozenset(names | {bound.strip("[]").lower()}) if names else None


def is_loopback(host: str) -> bool:
    """Return whether an address or name is reachable from this machine only."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"
