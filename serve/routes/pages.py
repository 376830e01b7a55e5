"""What a person's browser gets: the page at /, its parts, and the reference at /docs."""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources
from typing import Any

from fastapi import APIRouter, Response
from starlette.exceptions import HTTPException

from serve.routes.reference import STYLE_HASH, reference_page

_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "png": "image/png",
}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' {styles}; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # A new version of the server must not meet parts of the old one's page.
    "Cache-Control": "no-cache",
}


def page_routes(openapi: Callable[[], dict[str, Any]]) -> APIRouter:
    """The routes for browsers, left out of the OpenAPI document.

    Args:
        openapi: That document; asked for when /docs is.
    """
    router = APIRouter(include_in_schema=False)
    parts = _parts()

    @router.get("/")
    async def index() -> Response:
        """A page where a person drops an image."""
        return _reply(parts["index.html"], "html")

    @router.get("/page/{name}")
    async def part(name: str) -> Response:
        """A part of that page."""
        if name not in parts:
            raise HTTPException(404, f"The page has no part {name[:80]!r}.")
        return _reply(parts[name], name.rpartition(".")[2])

    @router.get("/docs")
    async def docs() -> Response:
        """The routes in words. Other than Swagger's page it loads nothing from elsewhere."""
        return _reply(reference_page(openapi()).encode(), "html", styles=STYLE_HASH)

    return router


def _parts() -> dict[str, bytes]:
    """The files of the page by name, read once."""
    return {
        file.name: file.read_bytes()
        for file in resources.files("serve").joinpath("page").iterdir()
        if file.is_file() and file.name.rpartition(".")[2] in _TYPES
    }


def _reply(body: bytes, kind: str, *, styles: str = "") -> Response:
    headers = {
        "Content-Type": _TYPES[kind],
        "Content-Security-Policy": _POLICY.format(styles=styles),
        **_HEADERS,
    }
    return Response(body, headers=headers)
