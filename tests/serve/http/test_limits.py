"""Tests of serve/limits.py."""

from __future__ import annotations

import asyncio
import gzip
import tracemalloc
import zlib
from collections.abc import Iterable
from typing import Any

import pytest
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import Receive

from serve.limits import ConcurrencyLimit, MemoryBudget, decompress, read_body, while_connected


def source(*messages: dict[str, Any]) -> Receive:
    """Return an ASGI `receive` that yields these messages and then blocks."""
    waiting = list(messages)

    async def receive() -> dict[str, Any]:
        if not waiting:
            await asyncio.Event().wait()
        return waiting.pop(0)

    return receive


def body(*chunks: bytes) -> list[dict[str, Any]]:
    return [
        {"type": "http.request", "body": chunk, "more_body": index < len(chunks)}
        for index, chunk in enumerate(chunks, start=1)
    ]


def read(
    messages: Iterable[dict[str, Any]],
    *,
    length: str | None = None,
    budget: MemoryBudget | None = None,
) -> bytes:
    """Read the body of these messages, limited to 6 bytes."""
    headers = Headers({} if length is None else {"content-length": length})
    with (budget or MemoryBudget(100)).reserve() as reserve:
        return asyncio.run(read_body(headers, source(*messages), max_body=6, reserve=reserve))


def status_of(error: pytest.ExceptionInfo[HTTPException]) -> int:
    return error.value.status_code


@pytest.mark.parametrize("chunks", [[b"abcdef"], [b"abc", b"def"], [b"", b"abcdef", b""]])
def test_a_body_is_joined_up_to_its_limit(chunks: list[bytes]) -> None:
    assert read(body(*chunks), length="6") == b"abcdef"


@pytest.mark.parametrize("length", ["7", "99999999999999999999999999"])
def test_a_body_that_is_announced_too_large_is_not_awaited(length: str) -> None:
    with pytest.raises(HTTPException, match="at most 6 bytes") as error:
        read([], length=length)
    assert status_of(error) == 413


def test_a_body_that_arrives_too_large_is_refused_whatever_was_announced() -> None:
    with pytest.raises(HTTPException) as error:
        read(body(b"abcd", b"efg", b"never read"), length="3")
    assert status_of(error) == 413


@pytest.mark.parametrize("length", ["-1", "1_0", "six", "", "²"])
def test_a_length_that_is_no_number_is_refused(length: str) -> None:
    with pytest.raises(HTTPException, match="must be a number") as error:
        read([], length=length)
    assert status_of(error) == 400


def test_a_client_that_leaves_within_its_body_ends_the_request() -> None:
    with pytest.raises(HTTPException) as error:
        read([body(b"abc", b"")[0], {"type": "http.disconnect"}])
    assert status_of(error) == 499


def test_bodies_count_together_and_are_given_back() -> None:
    budget = MemoryBudget(8)
    with budget.reserve() as first:
        first(5)
        with pytest.raises(HTTPException) as error:
            read(body(b"abcd"), budget=budget)
        assert status_of(error) == 503
        assert error.value.headers == {"Retry-After": "1"}
        assert budget.bytes == 5
        assert read(body(b"abc"), budget=budget) == b"abc"
    assert budget.bytes == 0


def test_concurrency_is_limited_and_given_back_after_errors_too() -> None:
    concurrency = ConcurrencyLimit(2)
    with concurrency.slot(), pytest.raises(KeyError), concurrency.slot():
        with pytest.raises(HTTPException) as error, concurrency.slot():
            pass
        assert status_of(error) == 503
        assert concurrency.active == 2
        raise KeyError
    assert concurrency.active == 0


@pytest.mark.parametrize(
    ("coding", "packed"),
    [
        ("", b"abcdef"),
        ("identity", b"abcdef"),
        ("gzip", gzip.compress(b"abcdef", mtime=0)),
        (" GZIP ", gzip.compress(b"abcdef", mtime=0)),
        ("deflate", zlib.compress(b"abcdef")),
    ],
)
def test_a_coding_is_undone(coding: str, packed: bytes) -> None:
    assert decompress(packed, coding, max_body=6) == b"abcdef"


@pytest.mark.parametrize(
    ("coding", "packed", "status"),
    [
        ("br", b"abc", 415),
        ("gzip, gzip", gzip.compress(gzip.compress(b"abc", mtime=0), mtime=0), 415),
        ("gzip", b"not gzip", 400),
        ("deflate", gzip.compress(b"abc", mtime=0), 400),
        ("gzip", b"", 400),
        ("gzip", gzip.compress(b"abc", mtime=0)[:-1], 400),
        ("gzip", gzip.compress(b"abc", mtime=0) + b"x", 400),
        ("gzip", gzip.compress(b"abc", mtime=0) * 2, 400),
        ("gzip", gzip.compress(b"abcdefg", mtime=0), 413),
    ],
)
def test_a_wrong_coding_or_a_bomb_is_refused(coding: str, packed: bytes, status: int) -> None:
    with pytest.raises(HTTPException) as error:
        decompress(packed, coding, max_body=6)
    assert status_of(error) == status


def test_a_bomb_is_never_unpacked() -> None:
    bomb = gzip.compress(bytes(50_000_000))
    tracemalloc.start()
    try:
        with pytest.raises(HTTPException):
            decompress(bomb, "gzip", max_body=6)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_work_ends_when_the_client_leaves() -> None:
    ended = []

    async def work() -> None:
        async with while_connected(source({"type": "http.disconnect"})):
            try:
                await asyncio.sleep(10)
            finally:
                ended.append(True)

    with pytest.raises(HTTPException) as error:
        asyncio.run(work())
    assert status_of(error) == 499
    assert ended == [True]


def test_work_is_not_disturbed_by_a_client_that_stays() -> None:
    async def work() -> str:
        async with while_connected(source({"type": "http.request"})):
            await asyncio.sleep(0.01)
        await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) == 1, "nobody watches any more"
        return "done"

    assert asyncio.run(work()) == "done"


def test_a_time_out_passes_through_a_client_that_stays() -> None:
    async def work() -> None:
        async with asyncio.timeout(0.01), while_connected(source()):
            await asyncio.sleep(10)

    with pytest.raises(TimeoutError):
        asyncio.run(work())


def test_another_cancellation_at_the_same_time_stays_one() -> None:
    async def work() -> None:
        task = asyncio.current_task()
        assert task is not None
        async with while_connected(source({"type": "http.disconnect"})):
            task.cancel()
            await asyncio.sleep(0)
            await asyncio.sleep(10)

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(work())
