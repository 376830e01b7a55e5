"""Batch size search: each of its limits, and an unchanged model."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import psutil
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from proxy_keras.training import batch_size
from proxy_keras.training.batch_size import BatchSizeResult, Trial, find_batch_size


@pytest.fixture
def model() -> keras.Model:
    keras.utils.set_random_seed(3)
    return keras.Sequential(
        [
            keras.Input((4, 4, 3)),
            keras.layers.Conv2D(2, 3),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.2),
            keras.layers.Flatten(),
            keras.layers.Dense(3),
        ]
    )


def fake_steps(monkeypatch: pytest.MonkeyPatch, seconds: Callable[[int], float | None]) -> None:
    """Make a step with n images take `seconds(n)`, or run out of memory for None."""
    monkeypatch.setattr(
        batch_size, "_median_step_s", lambda step, images, labels, budget: seconds(len(images))
    )


def test_it_doubles_up_to_512_and_an_eighth_of_the_images(
    model: keras.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_steps(monkeypatch, lambda n: 0.0)
    for n_train, expected in [(1_000_000, 512), (1000, 64), (512, 64), (511, 32), (40, 5), (3, 1)]:
        result = find_batch_size(model, 4, 3, n_train=n_train)
        assert result.batch_size == expected
        assert result.trials[-1].batch_size == expected


@given(st.integers(1, 20_000))
def test_sizes_leave_eight_steps_an_epoch(n_train: int) -> None:
    sizes = batch_size._sizes(n_train)
    assert all(1 <= size <= 512 for size in sizes)
    assert all(8 * size <= n_train for size in sizes) or n_train < 8
    assert all(b == 2 * a for a, b in zip(sizes, sizes[1:], strict=False))


def test_cpu_steps_stay_within_the_time_budget(
    model: keras.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_steps(monkeypatch, lambda n: n / 64)
    result = find_batch_size(model, 4, 3, n_train=10_000, budget_s=1.0)
    assert result.batch_size == 64
    assert [trial.batch_size for trial in result.trials] == [8, 16, 32, 64, 128]
    assert "128 takes longer than 1 s" in str(result)


def test_the_first_size_is_taken_even_if_slow(
    model: keras.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_steps(monkeypatch, lambda n: 10.0)
    result = find_batch_size(model, 4, 3, n_train=10_000)
    assert result.batch_size == 8 and len(result.trials) == 1


def test_a_gpu_is_limited_by_memory_only(
    model: keras.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: ["a GPU"])
    fake_steps(monkeypatch, lambda n: None if n >= 128 else 10.0)
    result = find_batch_size(model, 4, 3, n_train=10_000)
    assert result.batch_size == 64
    assert result.trials[-1].step_s is None
    assert "128 runs out of memory" in str(result)


def test_a_size_that_would_take_too_much_main_memory_is_not_tried(
    model: keras.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Memory:
        """Each step holds 1 MB plus 10 MB per image."""

        rss_bytes = 0

        def __enter__(self) -> Memory:
            return self

        def __exit__(self, *_: object) -> None:
            self.rss_bytes = 1_000_000 + tried[-1] * 10_000_000

    def seconds(n: int) -> float:
        tried.append(n)
        return 0.0

    tried: list[int] = []
    fake_steps(monkeypatch, seconds)
    monkeypatch.setattr(batch_size, "_PeakMemory", Memory)
    free = type("Free", (), {"available": 1_000_000_000})
    used = type("Used", (), {"rss": 1_000_000})
    monkeypatch.setattr(psutil, "virtual_memory", lambda: free)
    monkeypatch.setattr(psutil.Process, "memory_info", lambda self: used)
    result = find_batch_size(model, 4, 3, n_train=10_000, memory_share=0.5)
    # 32 images hold 320 MB; 64 would hold 640 MB, but only 500 MB are allowed.
    assert tried == [8, 16, 32] and result.batch_size == 32
    assert "64 would need more than 500 MB" in str(result)


def test_nothing_that_fits_is_an_error(model: keras.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_steps(monkeypatch, lambda n: None)
    with pytest.raises(MemoryError, match="8 images of 4 px"):
        find_batch_size(model, 4, 3, n_train=100)


@pytest.mark.parametrize("error", [MemoryError(), tf.errors.ResourceExhaustedError(None, None, "")])
def test_a_step_that_runs_out_of_memory_has_no_time(error: Exception) -> None:
    def step(*_: Any) -> Any:
        raise error

    assert batch_size._median_step_s(step, None, None, 1.0) is None


def test_the_time_is_the_median_without_the_first_step(monkeypatch: pytest.MonkeyPatch) -> None:
    # Pairs of clock readings around three timed steps of 1, 5 and 2 seconds.
    clock = iter([0.0, 1.0, 1.0, 6.0, 6.0, 8.0])
    monkeypatch.setattr(batch_size.time, "perf_counter", lambda: next(clock))
    calls: list[int] = []

    def step(*_: Any) -> float:
        calls.append(1)
        return 0.0

    assert batch_size._median_step_s(step, None, None, 100.0) == 2.0
    assert len(calls) == 4


def test_steps_far_beyond_the_budget_are_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 31.0])
    monkeypatch.setattr(batch_size.time, "perf_counter", lambda: next(clock))
    assert batch_size._median_step_s(lambda *_: 0.0, None, None, 10.0) == 31.0


def test_peak_memory_includes_a_freed_array() -> None:
    before = psutil.Process().memory_info().rss
    with batch_size._PeakMemory() as peak:
        array = np.ones(40_000_000, np.uint8)
        del array
        array = np.ones(80_000_000, np.uint8)
        batch_size.time.sleep(0.05)
        del array
    assert 70e6 < peak.rss_bytes - before < 150e6


def test_real_steps_leave_the_model_and_the_generators_as_they_were(model: keras.Model) -> None:
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    optimizer = model.optimizer
    before = [variable.numpy() for variable in model.variables]
    states = random.getstate(), np.random.get_state()[1].tolist()
    result = find_batch_size(model, 4, 3, n_train=256)
    assert [trial.batch_size for trial in result.trials] == [8, 16, 32]
    assert all(trial.step_s is not None and trial.step_s > 0 for trial in result.trials)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == states
    assert model.optimizer is optimizer
    for old, variable in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(old, variable.numpy())


def test_the_table_reads_well() -> None:
    trials = (Trial(8, 0.25, 12_000_000), Trial(16, None, 34_000_000))
    assert str(BatchSizeResult(8, trials, "16 runs out of memory")).splitlines() == [
        "batch size |  seconds/step | memory, MB",
        "         8 |         0.250 |         12",
        "        16 | out of memory |         34",
        "batch size 8: 16 runs out of memory",
    ]


@pytest.mark.parametrize(
    "arguments", [{"n_train": 0}, {"budget_s": 0.0}, {"memory_share": 0.0}, {"memory_share": 1.1}]
)
def test_values_out_of_range_are_refused(model: keras.Model, arguments: dict[str, Any]) -> None:
    name, value = next(iter(arguments.items()))
    with pytest.raises(ValueError, match=f"{name}={value}"):
        find_batch_size(model, 4, 3, **{"n_train": 100, **arguments})
