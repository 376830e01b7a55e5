"""Limits on requests: body size, memory, concurrency, and clients that disconnect."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import Receive

CLIENT_GONE = 499
"""Status that counts a request whose client disconnected; it is never sent."""

# The zlib and gzip containers.
_WINDOW_BITS = {"deflate": zlib.MAX_WBITS, "gzip": 16 + zlib.MAX_WBITS}
_WINDOW_BITS["x-gzip"] = _WINDOW_BITS["gzip"]


class MemoryBudget:
    """The memory for request bodies, shared by all requests.

    Attributes:
        bytes: Number of bytes in use.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.bytes = 0

    @contextmanager
    def reserve(self) -> Iterator[Callable[[int], None]]:
        """Yield a function that reserves bytes for one request; all are released at the end.

        The function raises HTTPException 503 if the budget is exhausted.
        """
        reserved = 0

        def reserve_bytes(count: int) -> None:
            nonlocal reserved
            if self.bytes + count > self._limit:
                raise overloaded("Too many request bodies are in memory.")
            self.bytes += count
            reserved += count

        try:
            yield reserve_bytes
        finally:
            self.bytes -= reserved


class ConcurrencyLimit:
    """A limit on the active requests of one model.

    Attributes:
        active: Number of active requests.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.active = 0

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Count a request as active inside the block.

        Raises:
            HTTPException: 503, the limit is reached.
        """
        if self.active >= self._limit:
            raise overloaded(f"The queue is full: {self._limit} requests are active.")
        self.active += 1
        try:
            yield
        finally:
            self.active -= 1


def overloaded(reason: str) -> HTTPException:
    """Return a 503 error with a Retry-After header."""
    return HTTPException(503, f"{reason} Try again in a second.", {"Retry-After": "1"})


async def read_body(
    headers: Headers, receive: Receive, *, max_body: int, reserve: Callable[[int], None]
) -> bytes:
    """Read a request's body as sent.

    Args:
        headers: The request's headers.
        receive: ASGI's function that receives the body.
        max_body: Largest size in bytes. Content-Length is checked first, then the bytes received.
        reserve: Called with the number of bytes of each chunk; see `MemoryBudget.reserve`.

    Raises:
        HTTPException: 413, the body is too large; 400, Content-Length is not a number; 499, the
            client disconnected; 503, the memory budget is exhausted.
    """
    declared = headers.get("content-length", "0")
    if not (declared.isascii() and declared.isdecimal()):
        raise HTTPException(400, f"Content-Length must be a number. Received: {declared[:40]!r}")
    # `int` refuses thousands of digits with another error.
    if len(declared) >= 20 or int(declared) > max_body:
        raise _too_large(max_body)
    chunks, size, is_more = [], 0, True
    while is_more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise HTTPException(CLIENT_GONE, "The client disconnected while sending its body.")
        chunk = message.get("body", b"")
        is_more = message.get("more_body", False)
        size += len(chunk)
        if size > max_body:
            raise _too_large(max_body)
        reserve(len(chunk))
        chunks.append(chunk)
    return b"".join(chunks)


def decompress(body: bytes, coding: str, *, max_body: int) -> bytes:
    """Decode a body according to its Content-Encoding.

    Args:
        body: The body as sent.
        coding: The header's value: "gzip", "deflate", or "identity".
        max_body: Largest size of the result in bytes; decoding stops there.

    Raises:
        HTTPException: 415, the encoding is not supported; 400, the body is not valid in it; 413,
            the result is too large.
    """
    coding = coding.strip().lower()
    if coding in ("", "identity"):
        return body
    if coding not in _WINDOW_BITS:
        raise HTTPException(
            415,
            f"Content-Encoding must be gzip or deflate. Received: {coding[:40]!r}",
            {"Accept-Encoding": "gzip, deflate"},
        )
    decoder = zlib.decompressobj(_WINDOW_BITS[coding])
    try:
        plain = decoder.decompress(body, max_body + 1)
    except zlib.error as error:
        raise HTTPException(400, f"The body is not valid {coding}: {error}") from error
    if len(plain) > max_body:
        raise _too_large(max_body)
    # Only one gzip member: decoding a million empty ones would cost more than their bytes.
    if not decoder.eof or decoder.unused_data:
        reason = "data follow its end" if decoder.eof else "it is truncated"
        raise HTTPException(400, f"The body is not valid {coding}: {reason}.")
    return plain


@asynccontextmanager
async def while_connected(receive: Receive) -> AsyncIterator[None]:
    """Cancel the block when the client disconnects.

    Args:
        receive: ASGI's function of a request whose body has been read completely.

    Raises:
        HTTPException: 499, the client disconnected.
    """
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("`while_connected` must be used inside a task.")
    is_gone = False

    async def watch() -> None:
        nonlocal is_gone
        while (await receive())["type"] != "http.disconnect":
            pass
        is_gone = True
        task.cancel()

    watcher = asyncio.create_task(watch())
    try:
        yield
    except asyncio.CancelledError:
        # A simultaneous cancellation, e.g. by a timeout, must remain one.
        if is_gone and task.uncancel() == 0:
            raise HTTPException(CLIENT_GONE, "The client disconnected before its answer.") from None
        raise
    finally:
        watcher.cancel()


def _too_large(max_body: int) -> HTTPException:
    return HTTPException(413, f"The request's body must have at most {max_body:,} bytes.")
