"""JSON responses, and their compression."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from fastapi import Response
from starlette.datastructures import Headers
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_GZIP_REFUSED = re.compile(r"\bgzip\s*;\s*q=0(\.0*)?\s*(,|$)")


class Compression(GZipMiddleware):
    """Starlette's gzip compression that also respects the refusal `gzip;q=0`."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Compress the response if the client accepts gzip."""
        is_refused = scope["type"] == "http" and _GZIP_REFUSED.search(
            Headers(scope=scope).get("accept-encoding", "")
        )
        await (self.app if is_refused else super().__call__)(scope, receive, send)


class HeadAsGet:
    """ASGI middleware that answers HEAD like GET, without the body, as probes and proxies ask.

    Args:
        app: The application, which need not know HEAD.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; see ASGI."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def without_body(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        # The scope itself, to which the router adds the route for the metrics.
        scope["method"] = "GET"
        await self._app(scope, receive, without_body)


def json_response(
    content: Any, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Return a response with JSON values as its body.

    Raises:
        ValueError: The content contains NaN or infinity, which JSON cannot represent.
    """
    # In ASCII, unlike JSONResponse: class names need not be valid Unicode.
    text = json.dumps(content, allow_nan=False, separators=(",", ":"))
    return Response(text, status, headers, media_type="application/json")


def error_response(
    message: str, *, status: int, headers: Mapping[str, str] | None = None
) -> Response:
    """Return an error response in the format of the Open Inference Protocol."""
    return json_response({"error": message}, status=status, headers=headers)
