"""The door that every request passes: its host, its key, and what is counted of it."""

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
"""Paths that need no key: what a probe, or a person with a browser, asks first."""

OPEN_FOLDER = "/page/"
"""So do the parts of the page."""


class AccessMiddleware:
    """ASGI middleware that refuses the wrong host and the wrong key, and counts all requests.

    Args:
        app: What is behind the door.
        settings: Host names and key.
        telemetry: What counts.
    """

    def __init__(self, app: ASGIApp, *, settings: Settings, telemetry: Telemetry) -> None:
        self._app = app
        self._hosts = settings.hosts
        self._key = None if settings.api_key is None else settings.api_key.encode("ascii")
        self._telemetry = telemetry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Lets one request through, or not; see ASGI."""
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
        # Browsers always send it; a page that made its own name point here is told by it.
        if self._hosts is not None and host is not None and host_name(host) not in self._hosts:
            return error_response(
                f"This server does not answer to the host {host[:128]!r}. Start it with "
                "--allowed-host NAME if it shall.",
                status=421,
            )
        if self._key is None or self._is_open(scope["path"]) or self._has_key(headers):
            return None
        return error_response(
            "This server wants its API key: Authorization: Bearer KEY, or X-API-Key: KEY.",
            status=401,
            headers={"WWW-Authenticate": "Bearer"},
        )

    def _is_open(self, path: str) -> bool:
        return path in OPEN_PATHS or path.startswith(OPEN_FOLDER)

    def _has_key(self, headers: Headers) -> bool:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        given = token.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")
        # In a time that tells nothing of how much of it is right.
        return hmac.compare_digest(given.encode("latin-1"), self._key or b"")


def host_name(host: str) -> str:
    """A Host header without its port, in lower case; IPv6 addresses without brackets."""
    name = host.strip().lower()
    if name.startswith("["):
        return name[1:].partition("]")[0]
    return name.partition(":")[0].removesuffix(".")


def hosts_for(bound: str, allowed: tuple[str, ...]) -> frozenset[str] | None:
    """The names to answer to, for a server that is bound to `bound`.

    On a loopback address only the names of this machine itself: pages of other sites could
    otherwise reach the server through the browser, by a name of theirs that resolves to it.

    Args:
        bound: Address or name that the server listens on.
        allowed: Further names; with any of them, a server elsewhere checks too.

    Returns:
        Names in lower case without port; None: any.
    """
    further = {host_name(name) for name in allowed}
    if is_loopback(bound):
        return frozenset({"localhost", "127.0.0.1", "::1", bound.strip("[]").lower()} | further)
    return frozenset(further | {bound.strip("[]").lower()}) if further else None


def is_loopback(host: str) -> bool:
    """Whether an address or name means this machine only."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"
