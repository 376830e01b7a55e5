"""Corrections of FastAPI's OpenAPI document: the actual error responses and the API key."""

from __future__ import annotations

from typing import Any

from serve.access import OPEN_PATHS

_FASTAPI_ERRORS = ("HTTPValidationError", "ValidationError")


def adapt_document(document: dict[str, Any], *, has_key: bool) -> None:
    """Remove responses that never occur, and add the API key; idempotent.

    Args:
        document: FastAPI's document; modified in place.
        has_key: Whether the server requires an API key.
    """
    schemas = document["components"]["schemas"]
    for path, methods in document["paths"].items():
        for operation in methods.values():
            # FastAPI adds its own error format to every route with a parameter.
            if _FASTAPI_ERRORS[0] in str(operation["responses"].get("422")):
                del operation["responses"]["422"]
            if not has_key:
                operation["responses"].pop("401", None)
            elif path in OPEN_PATHS:
                operation["security"] = []
    for name in _FASTAPI_ERRORS:
        schemas.pop(name, None)
    if has_key:
        document["components"]["securitySchemes"] = {
            "bearer": {"type": "http", "scheme": "bearer"},
            "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        }
        document["security"] = [{"bearer": []}, {"header": []}]
