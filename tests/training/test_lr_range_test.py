"""Learning-rate range test: the suggestion on known curves, and an unchanged model."""

from __future__ import annotations

import csv
from pathlib import Path

import keras
import numpy as np
import pytest

from proxy_keras.training.lr_range_test import LrRangeResult, find_learning_rate, smooth, suggest
from proxy_keras.training.optimizer import make_optimizer


@pytest.fixture
def model() -> keras.Model:
    keras.utils.set_random_seed(3)
    return keras.Sequential(
        [
            keras.Input((4, 4, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(8, 3),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
            keras.layers.Dropout(0.2),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3),
        ]
    )


@pytest.fixture
def batches() -> list[tuple[np.ndarray, np.ndarray]]:
    """Three classes that differ by colour."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 96)
    images = rng.uniform(0, 100, (96, 4, 4, 3))
    images[np.arange(96), :, :, labels] += 155
    return [(images[i : i + 32], labels[i : i + 32]) for i in range(0, 96, 32)]


def test_smoothing_has_no_bias_towards_zero() -> None:
    np.testing.assert_allclose(smooth([2.0, 2.0, 2.0]), 2.0)
    # The weights of 1 and 3 after two steps are 0.9 and 1.
    np.testing.assert_allclose(smooth([1.0, 3.0]), [1.0, (0.9 + 3.0) / 1.9])


def test_the_suggestion_is_where_the_loss_falls_fastest() -> None:
    lrs = np.geomspace(1e-6, 1.0, 121)
    position = np.arange(121)
    # The loss falls most steeply at step 60, 1e-3, and explodes from step 90 on.
    losses = 2.0 / (1.0 + np.exp((position - 60) / 4.0)) + np.maximum(0, position - 90) ** 2
    found = suggest(lrs, losses)
    # Smoothing over ten steps lags by a few steps.
    assert lrs[60] <= found <= lrs[70]


def test_a_fall_within_the_first_steps_is_ignored() -> None:
    lrs = np.geomspace(1e-6, 1.0, 100)
    losses = np.where(np.arange(100) < 3, 10.0, 2.0) - 0.01 * np.maximum(0, np.arange(100) - 50)
    assert suggest(lrs, losses) >= lrs[10]


def test_a_loss_that_never_falls_is_an_error() -> None:
    with pytest.raises(ValueError, match="did not fall at any learning rate"):
        suggest(np.geomspace(1e-6, 1, 50), np.linspace(1, 2, 50))
    with pytest.raises(ValueError, match="did not fall"):
        suggest(np.geomspace(1e-6, 1, 50), [])


def test_it_finds_a_rate_that_trains_and_leaves_the_model_as_it_was(
    model: keras.Model, batches: list[tuple[np.ndarray, np.ndarray]]
) -> None:
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss)
    optimizer = model.optimizer
    before = [variable.numpy() for variable in model.variables]
    result = find_learning_rate(model, batches, seed=0)
    assert model.optimizer is optimizer
    for old, variable in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(old, variable.numpy())
    assert 1e-4 < result.lr < 1.0
    assert result.lr in result.lrs
    np.testing.assert_allclose(np.diff(np.log(result.lrs)), np.log(1e6) / 99)
    model.compile(make_optimizer(lr=result.lr, total_steps=60), loss, metrics=["accuracy"])
    images, labels = (np.concatenate(part) for part in zip(*batches, strict=True))
    history = model.fit(images, labels, epochs=20, verbose=0).history
    assert history["accuracy"][-1] > 0.9


def test_the_same_seed_gives_the_same_curve(
    model: keras.Model, batches: list[tuple[np.ndarray, np.ndarray]]
) -> None:
    first, again, other = (
        find_learning_rate(model, batches, seed=seed, steps=30).losses for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first[:5], other[:5])


def test_it_stops_when_the_loss_diverges() -> None:
    # Labels are independent of the images, so no weights are good.
    rng = np.random.default_rng(0)
    batches = [(rng.uniform(0, 255, (32, 4, 4, 3)), rng.integers(0, 3, 32)) for _ in range(8)]
    linear = keras.Sequential(
        [keras.Input((4, 4, 3)), keras.layers.Flatten(), keras.layers.Dense(3)]
    )
    result = find_learning_rate(linear, batches, seed=0, min_lr=1e-7, max_lr=1e5, steps=80)
    assert len(result.lrs) < 80
    assert np.isfinite(result.losses).all()
    assert result.smoothed[-1] > 4 * result.smoothed.min()


def test_it_works_with_scaled_losses_under_mixed_float16(
    batches: list[tuple[np.ndarray, np.ndarray]],
) -> None:
    keras.config.set_dtype_policy("mixed_float16")
    linear = keras.Sequential(
        [
            keras.Input((4, 4, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Flatten(),
            keras.layers.Dense(3, dtype="float32"),
        ]
    )
    result = find_learning_rate(linear, batches, seed=0)
    # Reported losses are not scaled: a random guess of three classes has a loss of log 3.
    assert 0.5 < result.losses[0] < 3.0
    assert result.losses.min() < 0.5 * result.losses[0]


def test_it_saves_a_table_and_a_picture(tmp_path: Path) -> None:
    losses = np.array([1.0, 0.5, 0.25])
    lrs = np.array([1e-3, 1e-2, 1e-1])
    LrRangeResult(1e-2, lrs, losses, smooth(losses)).save(tmp_path)
    with (tmp_path / "lr_range_test.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["lr", "loss", "smoothed"]
    np.testing.assert_array_equal(
        np.array(rows[1:], float), np.stack([lrs, losses, smooth(losses)], 1)
    )
    assert (tmp_path / "lr_range_test.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"min_lr": 0.0}, "min_lr=0.0"),
        ({"max_lr": 1e-7}, "max_lr=1e-07"),
        ({"steps": 19}, "steps=19"),
    ],
)
def test_values_out_of_range_are_refused(
    model: keras.Model, arguments: dict[str, float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        find_learning_rate(model, [], seed=0, **arguments)


def test_no_batches_are_refused(model: keras.Model) -> None:
    with pytest.raises(ValueError, match="at least one batch"):
        find_learning_rate(model, [], seed=0)
