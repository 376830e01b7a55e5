"""The limits on requests: their bodies, what is held of them, their number; clients that left."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import Receive

CLIENT_GONE = 499
"""Status under which a request is counted whose client left; nobody receives it."""

# For zlib: the header of its own format, and that of gzip.
_WINDOW_BITS = {"deflate": zlib.MAX_WBITS, "gzip": 16 + zlib.MAX_WBITS}
_WINDOW_BITS["x-gzip"] = _WINDOW_BITS["gzip"]


class Held:
    """Bytes of request bodies that are in memory, over all requests."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.bytes = 0

    @contextmanager
    def share(self) -> Iterator[Share]:
        """One request's share, given back at the end."""
        share = Share(self)
        try:
            yield share
        finally:
            self.bytes -= share.bytes

    def add(self, count: int) -> None:
        """Counts bytes that have come in.

        Raises:
            HTTPException: 503, there is no room for them now.
        """
        if self.bytes + count > self._limit:
            raise overloaded("Too many request bodies are in memory.")
        self.bytes += count


class Share:
    """The bytes of one request's body that count in `Held`."""

    def __init__(self, held: Held) -> None:
        self._held = held
        self.bytes = 0

    def add(self, count: int) -> None:
        """Counts bytes of this request; see `Held.add`."""
        self._held.add(count)
        self.bytes += count


class Places:
    """Requests that are under way for one model, up to a limit."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.taken = 0

    @contextmanager
    def take(self) -> Iterator[None]:
        """A place, given back at the end.

        Raises:
            HTTPException: 503, all are taken.
        """
        if self.taken >= self._limit:
            raise overloaded(f"{self._limit} requests are under way, and no more fit.")
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1


def overloaded(reason: str) -> HTTPException:
    """503 with the time after which to try again."""
    return HTTPException(503, f"{reason} Try again in a second.", {"Retry-After": "1"})


async def read_body(headers: Headers, receive: Receive, *, max_body: int, share: Share) -> bytes:
    """A request's body as it was sent.

    Args:
        headers: The request's headers.
        receive: Where its body comes from, as ASGI has it.
        max_body: Most bytes. What the headers announce is checked first, then what arrives.
        share: Counts the bytes.

    Raises:
        HTTPException: 413, the body is larger; 400, its length is no number; 499, the client left;
            503, no room.
    """
    declared = headers.get("content-length", "0")
    if not (declared.isascii() and declared.isdecimal()):
        raise HTTPException(400, f"Content-Length must be a number. Received: {declared[:40]!r}")
    # A number of twenty digits is too large whatever it is, and is not worth reading.
    if len(declared) >= 20 or int(declared) > max_body:
        raise _too_large(max_body)
    chunks, size, is_more = [], 0, True
    while is_more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise HTTPException(CLIENT_GONE, "The client left before its body was complete.")
        chunk = message.get("body", b"")
        is_more = message.get("more_body", False)
        size += len(chunk)
        if size > max_body:
            raise _too_large(max_body)
        share.add(len(chunk))
        chunks.append(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def decompress(body: bytes, coding: str, *, max_body: int) -> bytes:
    """A body without its Content-Encoding.

    Args:
        body: As it was sent.
        coding: The header's value: "gzip", "deflate", or "identity".
        max_body: Most bytes of the result; no more than that are ever unpacked.

    Raises:
        HTTPException: 415, another coding; 400, the body is not of it; 413, the result is larger.
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
    unpacker = zlib.decompressobj(_WINDOW_BITS[coding])
    try:
        plain = unpacker.decompress(body, max_body + 1)
    except zlib.error as error:
        raise HTTPException(400, f"The body is not in {coding}: {error}") from error
    if len(plain) > max_body:
        raise _too_large(max_body)
    # One member only: each of a million empty ones would cost more than the bytes it takes.
    if not unpacker.eof or unpacker.unused_data:
        ending = "goes on behind its end" if unpacker.eof else "is truncated"
        raise HTTPException(400, f"The body is not in {coding}: it {ending}.")
    return plain


@asynccontextmanager
async def while_connected(receive: Receive) -> AsyncIterator[None]:
    """Cancels what is awaited inside when the client closes its connection.

    Args:
        receive: The request's, whose body has been read to its end.

    Raises:
        HTTPException: 499, the client left.
    """
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("`while_connected` needs a task: it is for coroutines that are run.")
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
        # Another cancellation at the same time, by a time-out say, must go on as one.
        if is_gone and task.uncancel() == 0:
            raise HTTPException(CLIENT_GONE, "The client left before its answer.") from None
        raise
    finally:
        watcher.cancel()


def _too_large(max_body: int) -> HTTPException:
    return HTTPException(413, f"The request's body must have at most {max_body:,} bytes.")
