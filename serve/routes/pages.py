"""Routes for browsers: the page at /, its assets, and the API reference at /docs."""

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
    # After an update, assets of the old page must not be used.
    "Cache-Control": "no-cache",
}


def page_routes(openapi: Callable[[], dict[str, Any]]) -> APIRouter:
    """Create the routes for browsers, which are not in the OpenAPI document.

    Args:
        openapi: Returns that document; called for /docs.
    """
    router = APIRouter(include_in_schema=False)
    assets = _read_assets()

    @router.get("/")
    async def index() -> Response:
        """Return the page."""
        return _page_response(assets["index.html"], "html")

    @router.get("/page/{name}")
    async def asset(name: str) -> Response:
        """Return an asset of the page."""
        if name not in assets:
            raise HTTPException(404, f"The page has no file {name[:80]!r}.")
        return _page_response(assets[name], name.rpartition(".")[2])

    @router.get("/docs")
    async def docs() -> Response:
        """Return the API reference, which loads nothing from other servers, unlike Swagger's."""
        return _page_response(reference_page(openapi()).encode(), "html", styles=STYLE_HASH)

    return router


def _read_assets() -> dict[str, bytes]:
    """Read the files of the page, by name."""
    return {
        file.name: file.read_bytes()
        for file in resources.files("serve").joinpath("page").iterdir()
        if file.is_file() and file.name.rpartition(".")[2] in _TYPES
    }


def _page_response(body: bytes, kind: str, *, styles: str = "") -> Response:
    headers = {
        "Content-Type": _TYPES[kind],
        "Content-Security-Policy": _POLICY.format(styles=styles),
        **_HEADERS,
    }
    return Response(body, headers=headers)
