"""Settings of the server: limits and access."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from serve.images import MAX_PIXELS

MEBIBYTE = 1024 * 1024

# It is compared with what browsers send: lower case, without a path.
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")


@dataclass(frozen=True)
class Settings:
    """Settings of the server; the defaults suit one machine.

    Attributes:
        max_batch: Most images in a batch, and in a request.
        max_wait_s: Longest time an image waits for others to fill its batch, in seconds.
        max_queue: Most active requests per model, counted from when their bodies have arrived;
            further ones are answered 503.
        max_body: Largest request body in bytes, before and after decompression.
        max_pixels: Largest image that is decoded, in pixels.
        timeout_s: Longest time from a request's first byte to its answer, in seconds.
        keep_alive_s: Longest time that a connection stays open between two requests, in seconds.
        drain_s: Longest time from the stop signal to the end, in seconds.
        decoders: Number of threads that decode images.
        max_ticked: Share of an answer's evidence on ticked cues above which it is marked, in
            [0, 1]; None marks none.
        api_key: API key that clients must send; None allows everyone.
        cors_origins: Origins whose pages may call the server from a browser, e.g.
            "https://example.org"; "*" allows all.
        hosts: Accepted names in the Host header, without a port; None accepts all.

    Raises:
        ValueError: A number is out of range, an origin is invalid, or the key is empty or cannot
            be sent in a header.
    """

    max_batch: int = 8
    max_wait_s: float = 0.005
    max_queue: int = 256
    max_body: int = 32 * MEBIBYTE
    max_pixels: int = 50_000_000
    timeout_s: float = 30.0
    keep_alive_s: float = 5.0
    drain_s: float = 30.0
    decoders: int = 2
    max_ticked: float | None = None
    api_key: str | None = None
    cors_origins: tuple[str, ...] = ()
    hosts: frozenset[str] | None = None

    def __post_init__(self) -> None:
        for name in ("max_batch", "max_queue", "max_body", "decoders"):
            if (value := getattr(self, name)) < 1:
                raise ValueError(f"`{name}` must be >= 1. Received: {value}")
        if not 1 <= self.max_pixels <= MAX_PIXELS:
            raise ValueError(
                f"`max_pixels` must be in [1, {MAX_PIXELS}]. Received: {self.max_pixels}"
            )
        for name in ("max_wait_s", "keep_alive_s", "drain_s"):
            if not 0.0 <= (value := getattr(self, name)) < math.inf:
                raise ValueError(f"`{name}` must be finite and >= 0. Received: {value}")
        if not 0.0 < self.timeout_s < math.inf:
            raise ValueError(f"`timeout_s` must be finite and > 0. Received: {self.timeout_s}")
        if self.max_ticked is not None and not 0.0 <= self.max_ticked <= 1.0:
            raise ValueError(f"`max_ticked` must be in [0, 1]. Received: {self.max_ticked}")
        for origin in self.cors_origins:
            if origin != "*" and not _ORIGIN.fullmatch(origin):
                raise ValueError(
                    "An origin is scheme://host or scheme://host:port in lower case, e.g. "
                    f"https://example.org, or *. Received: {origin!r}"
                )
        if self.api_key is not None and not _fits_a_header(self.api_key):
            raise ValueError(
                "The API key must be one or more printable ASCII characters without spaces. "
                "The one received is not shown."
            )

    @property
    def max_buffered(self) -> int:
        """Most bytes of request bodies in memory at a time: eight of the largest."""
        return 8 * self.max_body


def _fits_a_header(key: str) -> bool:
    return bool(key) and all("!" <= character <= "~" for character in key)
