"""LocalAccess: middleware that lets in only the page itself, on this machine."""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from proxy_keras.io.host_names import host_name

NAMES = frozenset({"127.0.0.1", "localhost", "::1"})
"""Names under which this machine reaches the server. A web page could reach it through another
name that resolves to this machine (DNS rebinding)."""

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class LocalAccess:
    """Middleware that refuses foreign hosts and origins, and adds the security headers.

    Args:
        app: The application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        app = _refusal(Headers(scope=scope), scope["method"]) or self._app
        await app(scope, receive, send_with_headers)


def _refusal(headers: Headers, method: str) -> ASGIApp | None:
    """Return the answer to a request that is refused; None: it is accepted."""
    host = headers.get("host", "")
    if host_name(host) not in NAMES:
        return error_response(
            421, f"The host must be 127.0.0.1 or localhost. Received: {host[:128]!r}."
        )
    if method in ("GET", "HEAD"):
        return None
    # Browsers send both with each request that another site makes; other clients send neither.
    origin = headers.get("origin")
    site = headers.get("sec-fetch-site", "same-origin")
    if (origin is not None and origin != f"http://{host}") or site != "same-origin":
        return error_response(
            403, f"Verdicts are only taken from the page itself. Received: origin {origin!r}."
        )
    return None


def error_response(status: int, message: str) -> JSONResponse:
    """Return an error as JSON."""
    return JSONResponse({"error": message}, status)
