"""JSON bodies of requests, of limited size and with known names."""

from __future__ import annotations

import json
import reprlib
from collections.abc import Collection
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

LARGEST = 4096
"""Largest body in bytes."""


async def read_object(request: Request, names: Collection[str]) -> dict[str, Any]:
    """Return the JSON object in the body of a request.

    Args:
        request: The request.
        names: The names that the object must have.

    Raises:
        HTTPException: 400, 413 or 415: the body is something else.
    """
    kind = request.headers.get("content-type", "")
    # Other sites cannot send this type without asking first, which is refused.
    if kind.partition(";")[0].strip().lower() != "application/json":
        raise HTTPException(415, f"Send application/json. Received: {kind[:64]!r}")
    try:
        values = json.loads(await _body(request), parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, f"The body must be JSON. Received: {error}") from error
    if not isinstance(values, dict) or values.keys() != set(names):
        rule = f"The body must be a JSON object of {' and '.join(names)}."
        raise HTTPException(400, f"{rule} Received: {reprlib.repr(values)}")
    return values


async def _body(request: Request) -> bytes:
    body = bytearray()
    try:
        async for part in request.stream():
            body += part
            if len(body) > LARGEST:
                raise HTTPException(413, f"The body must have at most {LARGEST} bytes.")
    except ClientDisconnect as error:
        raise HTTPException(400, "The body is incomplete.") from error
    return bytes(body)


def _refuse(text: str) -> None:
    raise ValueError(f"{text} is not JSON")
