"""Tests of serve/batcher.py."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve.batcher import Batcher, BatchError
from serve.model import Answers


class Doubler:
    """A model whose logits are twice the first value of each image; records its batches."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.may_run = threading.Event()
        self.may_run.set()
        self.is_running = threading.Event()

    def run(self, images: np.ndarray) -> Answers:
        self.is_running.set()
        assert self.may_run.wait(10)
        values = images[:, 0, 0, 0].astype(np.float32)
        self.batches.append(values.astype(int).tolist())
        if -1 in values:
            raise RuntimeError("a bad image")
        logits = np.stack([values * 2, values * 0], axis=1)
        return Answers(logits, logits, images[..., 0].astype(np.float32))


@dataclass
class Images:
    """A prepared request."""

    images: np.ndarray


class AtOnce(Executor):
    """A pool that runs in the caller's thread, so that requests are queued in call order."""

    def submit(self, work: Callable[..., Any], /, *arguments: Any, **options: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(work(*arguments, **options))
        return future


async def submit(batcher: Batcher, model: Doubler, images: np.ndarray) -> Answers:
    prepared, answers = await batcher.submit(model, lambda: Images(images), AtOnce())
    assert prepared.images is images
    return answers


def rows(*values: int) -> np.ndarray:
    """Return images [n, 2, 2, 3] float32 of these values."""
    return np.tile(np.array(values, np.float32)[:, None, None, None], (1, 2, 2, 3))


def with_batcher(
    test: Callable[[Batcher], Coroutine[Any, Any, None]],
    *,
    max_batch: int = 4,
    max_wait_s: float = 60.0,
    on_batch: Callable[[int, float], None] | None = None,
) -> None:
    async def run() -> None:
        batcher = Batcher(max_batch=max_batch, max_wait_s=max_wait_s, on_batch=on_batch)
        try:
            async with asyncio.timeout(10):
                await test(batcher)
        finally:
            await batcher.close()

    asyncio.run(run())


async def queued(batcher: Batcher, count: int) -> None:
    while batcher.queued_images != count:
        await asyncio.sleep(0.001)


async def started(model: Doubler) -> None:
    while not model.is_running.is_set():
        await asyncio.sleep(0.001)


def test_a_full_batch_starts_at_once_and_each_request_gets_its_rows() -> None:
    model = Doubler()
    counted: list[int] = []

    async def test(batcher: Batcher) -> None:
        one, two, three = await asyncio.gather(
            submit(batcher, model, rows(1)),
            submit(batcher, model, rows(2, 3)),
            submit(batcher, model, rows(4)),
        )
        assert one.logits.tolist() == [[2, 0]]
        assert two.logits.tolist() == [[4, 0], [6, 0]]
        assert three.probabilities.tolist() == [[8, 0]]
        assert three.heatmaps is not None
        assert three.heatmaps.tolist() == [[[4, 4], [4, 4]]]

    with_batcher(test, on_batch=lambda images, seconds: counted.append(images))
    assert model.batches == [[1, 2, 3, 4]]
    assert counted == [4]


def test_a_batch_that_is_not_full_starts_when_its_oldest_image_has_waited() -> None:
    model = Doubler()

    async def test(batcher: Batcher) -> None:
        answers = await submit(batcher, model, rows(5))
        assert answers.logits.tolist() == [[10, 0]]

    with_batcher(test, max_wait_s=0.01)
    assert model.batches == [[5]]


def test_the_next_batch_is_gathered_while_one_runs_and_none_is_split_or_overtaken() -> None:
    model = Doubler()
    model.may_run.clear()

    async def test(batcher: Batcher) -> None:
        first = asyncio.create_task(submit(batcher, model, rows(1, 2, 3, 4)))
        await started(model)
        others = []
        for values in ([5, 6, 7], [8, 9], [10]):
            others.append(asyncio.create_task(submit(batcher, model, rows(*values))))
            await asyncio.sleep(0)
        await queued(batcher, 6)
        model.may_run.set()
        await asyncio.gather(first, *others)

    with_batcher(test, max_wait_s=0.01)
    assert model.batches == [[1, 2, 3, 4], [5, 6, 7], [8, 9, 10]]


def test_images_of_two_models_never_share_a_batch() -> None:
    old, new = Doubler(), Doubler()
    old.may_run.clear()

    async def test(batcher: Batcher) -> None:
        tasks = [asyncio.create_task(submit(batcher, old, rows(0, 0, 0, 0)))]
        await started(old)
        for model, value in ((old, 1), (new, 2), (new, 3), (old, 4)):
            tasks.append(asyncio.create_task(submit(batcher, model, rows(value))))
            await asyncio.sleep(0)
        await queued(batcher, 4)
        old.may_run.set()
        await asyncio.gather(*tasks)

    with_batcher(test, max_wait_s=0.01)
    assert old.batches == [[0, 0, 0, 0], [1], [4]]
    assert new.batches == [[2, 3]]


def test_a_failing_batch_fails_its_requests_and_the_next_one_is_answered(
    caplog: pytest.LogCaptureFixture,
) -> None:
    model = Doubler()

    async def test(batcher: Batcher) -> None:
        outcomes = await asyncio.gather(
            submit(batcher, model, rows(1, 2)),
            submit(batcher, model, rows(-1, 3)),
            return_exceptions=True,
        )
        assert [type(outcome) for outcome in outcomes] == [BatchError, BatchError]
        assert str(outcomes[0]) == "The model failed: RuntimeError"
        answers = await submit(batcher, model, rows(1, 2, 3, 4))
        assert answers.logits[:, 0].tolist() == [2, 4, 6, 8]

    with_batcher(test)
    assert "a bad image" in caplog.text
    assert len(caplog.records) == 1


def test_a_model_that_answers_too_few_rows_is_not_believed() -> None:
    class Short(Doubler):
        def run(self, images: np.ndarray) -> Answers:
            return super().run(images[1:])

    async def test(batcher: Batcher) -> None:
        with pytest.raises(BatchError, match="ValueError"):
            await submit(batcher, Short(), rows(1, 2, 3, 4))

    with_batcher(test)


def test_a_cancelled_request_leaves_the_queue_and_is_not_run() -> None:
    model = Doubler()
    model.may_run.clear()

    async def test(batcher: Batcher) -> None:
        first = asyncio.create_task(submit(batcher, model, rows(1, 1, 1, 1)))
        await started(model)
        leaving = asyncio.create_task(submit(batcher, model, rows(2, 2, 2)))
        staying = asyncio.create_task(submit(batcher, model, rows(3)))
        await queued(batcher, 4)
        leaving.cancel()
        await queued(batcher, 1)
        with pytest.raises(asyncio.CancelledError):
            await leaving
        model.may_run.set()
        await asyncio.gather(first, staying)

    with_batcher(test, max_wait_s=0.01)
    assert model.batches == [[1, 1, 1, 1], [3]]


def test_a_request_cancelled_while_its_batch_runs_takes_nothing_from_the_others() -> None:
    model = Doubler()
    model.may_run.clear()

    async def test(batcher: Batcher) -> None:
        leaving = asyncio.create_task(submit(batcher, model, rows(1, 2)))
        await asyncio.sleep(0)
        staying = asyncio.create_task(submit(batcher, model, rows(3, 4)))
        await started(model)
        leaving.cancel()
        await asyncio.sleep(0)
        model.may_run.set()
        assert (await staying).logits[:, 0].tolist() == [6, 8]

    with_batcher(test)


@pytest.mark.parametrize("count", [0, 5])
def test_a_request_must_fit_in_a_batch(count: int) -> None:
    async def test(batcher: Batcher) -> None:
        with pytest.raises(ValueError, match=rf"1 to 4 images\. Received: {count}"):
            await submit(batcher, Doubler(), np.zeros([count, 2, 2, 3], np.float32))
        assert batcher.queued_images == 0

    with_batcher(test)


def test_an_error_in_preparing_goes_to_its_request_alone() -> None:
    model = Doubler()

    def fail() -> Images:
        raise KeyError("no image")

    async def test(batcher: Batcher) -> None:
        staying = asyncio.create_task(submit(batcher, model, rows(1, 2)))
        with ThreadPoolExecutor(1) as pool, pytest.raises(KeyError, match="no image"):
            await batcher.submit(model, fail, pool)
        assert batcher.queued_images == 2
        await submit(batcher, model, rows(3, 4))
        assert (await staying).logits[:, 0].tolist() == [2, 4]

    with_batcher(test)
    assert model.batches == [[1, 2, 3, 4]]


def test_a_request_cancelled_while_it_is_prepared_is_never_queued() -> None:
    model = Doubler()
    is_preparing, may_end, prepared = threading.Event(), threading.Event(), []

    def prepare() -> Images:
        is_preparing.set()
        assert may_end.wait(10)
        prepared.append(True)
        return Images(rows(1))

    async def test(batcher: Batcher) -> None:
        with ThreadPoolExecutor(1) as pool:
            running = asyncio.create_task(batcher.submit(model, prepare, pool))
            pending = asyncio.create_task(batcher.submit(model, prepare, pool))
            while not is_preparing.is_set():
                await asyncio.sleep(0.001)
            running.cancel()
            pending.cancel()
            await asyncio.gather(running, pending, return_exceptions=True)
            may_end.set()
        assert batcher.queued_images == 0

    with_batcher(test, max_wait_s=0.0)
    assert prepared == [True], "one was not even prepared"
    assert model.batches == []


def test_closing_runs_what_waits_and_takes_no_more() -> None:
    model = Doubler()

    async def test(batcher: Batcher) -> None:
        task = asyncio.create_task(submit(batcher, model, rows(7)))
        await queued(batcher, 1)
        await batcher.close()
        assert (await task).logits.tolist() == [[14, 0]]
        with pytest.raises(RuntimeError, match="closed"):
            await submit(batcher, model, rows(8))

    with_batcher(test)
    assert model.batches == [[7]]


def test_answers_that_come_after_the_loop_has_ended_are_dropped(
    caplog: pytest.LogCaptureFixture,
) -> None:
    model = Doubler()
    model.may_run.clear()
    batchers = []

    async def leave() -> None:
        batcher = Batcher(max_batch=1, max_wait_s=0.0)
        batchers.append(batcher)
        task = asyncio.create_task(submit(batcher, model, rows(1)))
        await started(model)
        task.cancel()

    asyncio.run(leave())
    model.may_run.set()
    asyncio.run(batchers[0].close())
    assert "Answers arrived after the server stopped" in caplog.text


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 5), min_size=1, max_size=25),
    max_batch=st.integers(5, 8),
    cancelled=st.sets(st.integers(0, 24)),
)
def test_whatever_comes_every_row_is_answered_once_and_in_batches_that_fit(
    sizes: list[int], max_batch: int, cancelled: set[int]
) -> None:
    model = Doubler()
    starts = np.cumsum([0, *sizes])

    async def test(batcher: Batcher) -> None:
        tasks = [
            asyncio.create_task(submit(batcher, model, rows(*range(start, start + size))))
            for start, size in zip(starts, sizes, strict=False)
        ]
        await asyncio.sleep(0)
        for index, task in enumerate(tasks):
            if index in cancelled:
                task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        for index, outcome in enumerate(outcomes):
            if index in cancelled and isinstance(outcome, asyncio.CancelledError):
                continue
            assert isinstance(outcome, Answers)
            expected = 2 * np.arange(starts[index], starts[index] + sizes[index])
            np.testing.assert_array_equal(outcome.logits[:, 0], expected)
        assert batcher.queued_images == 0

    with_batcher(test, max_batch=max_batch, max_wait_s=0.001)
    run = [value for batch in model.batches for value in batch]
    assert run == sorted(set(run))
    assert max(map(len, model.batches), default=0) <= max_batch
