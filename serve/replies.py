"""Replies: JSON, errors, and their compression where the client takes it."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Mapping
from typing import Any

from fastapi import Response

# Below a packet's size nothing is gained.
_SMALLEST = 1400
# The fastest level: tensors hardly shrink at any, and the time is the other clients'.
_LEVEL = 1


def json_reply(
    content: Any,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    accepted: str | None = None,
) -> Response:
    """A reply with this content, compressed if it is long and `accepted` allows it.

    Args:
        content: JSON values.
        status: The HTTP status.
        headers: Further headers.
        accepted: The request's Accept-Encoding.

    Raises:
        ValueError: The content holds a NaN or an infinity, which JSON cannot say.
    """
    text = json.dumps(content, allow_nan=False, separators=(",", ":"))
    body, all_headers = compressed(
        text.encode(), {"Content-Type": "application/json", **(headers or {})}, accepted=accepted
    )
    return Response(body, status, all_headers)


def error_reply(message: str, *, status: int, headers: Mapping[str, str] | None = None) -> Response:
    """A reply that says what is wrong, in the way of the Open Inference Protocol."""
    return json_reply({"error": message}, status=status, headers=headers)


def compressed(
    body: bytes, headers: Mapping[str, str], *, accepted: str | None
) -> tuple[bytes, dict[str, str]]:
    """The body as the client takes it, and the headers with the coding added.

    Args:
        body: What to send.
        headers: What belongs to it.
        accepted: The request's Accept-Encoding, if it has one.

    Returns:
        Body and headers: as given where the client takes neither gzip nor deflate, or where the
        body is too small to gain.
    """
    coding = _best_coding(accepted or "")
    if coding is None or len(body) < _SMALLEST:
        return body, dict(headers)
    if coding == "gzip":
        # A fixed time stamp, so that equal answers are equal bytes.
        packed = gzip.compress(body, _LEVEL, mtime=0)
    else:
        packed = zlib.compress(body, _LEVEL)
    if len(packed) >= len(body):
        return body, dict(headers)
    return packed, {**headers, "Content-Encoding": coding, "Vary": "Accept-Encoding"}


def _best_coding(accepted: str) -> str | None:
    """gzip or deflate, whichever the client puts first by weight; of equals gzip."""
    weights: dict[str, float] = {}
    for part in accepted.lower().split(","):
        coding, _, parameter = part.partition(";")
        name, _, value = parameter.strip().partition("=")
        weights[coding.strip()] = _weight(value) if name.strip() == "q" else 1.0
    anything = weights.get("*", 0.0)
    best = max(("gzip", "deflate"), key=lambda coding: weights.get(coding, anything))
    return best if weights.get(best, anything) > 0 else None


def _weight(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
