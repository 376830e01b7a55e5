"""Progress bars of a training run: on a terminal, if requested; none elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable

import keras
import numpy as np
import pytest

from proxy_keras import ImageData
from proxy_keras.metrics.classification import predict_logits
from proxy_keras.settings import DataConfig, TrainConfig
from proxy_keras.training.batch_size import find_batch_size
from proxy_keras.training.fitting import training_batches
from proxy_keras.training.lr_range_test import find_learning_rate

COUNT, SIDE, CLASSES = 24, 8, 3


def _search_batch_size(model: keras.Model, data: ImageData, progress: bool) -> None:
    find_batch_size(model, SIDE, CLASSES, n_train=COUNT, progress=progress)


def _search_learning_rate(model: keras.Model, data: ImageData, progress: bool) -> None:
    images = np.stack([np.full((SIDE, SIDE, 3), 255.0 * n / COUNT) for n in range(COUNT)])
    labels = np.arange(COUNT) * CLASSES // COUNT
    find_learning_rate(model, [(images, labels)], seed=0, steps=40, progress=progress)


def _score(model: keras.Model, data: ImageData, progress: bool) -> None:
    predict_logits(model, data.val, 2, progress=progress)


def _mean_colour(model: keras.Model, data: ImageData, progress: bool) -> None:
    config = TrainConfig(DataConfig("digits"), augment=("hide_and_seek",), batch_size=8)
    training_batches(config, data.train, progress=progress)


WORK = {
    "batch size": _search_batch_size,
    "learning rate": _search_learning_rate,
    "scoring val": _score,
    "mean colour": _mean_colour,
}


@pytest.mark.parametrize("name", WORK)
def test_a_bar_is_shown_on_a_terminal_if_requested(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    keras.utils.set_random_seed(0)
    layers = [keras.Input((SIDE, SIDE, 3)), keras.layers.Rescaling(1 / 255)]
    layers += [keras.layers.Flatten(), keras.layers.Dense(CLASSES)]
    model = keras.Sequential(layers)
    images = np.random.default_rng(0).integers(0, 256, (40, SIDE, SIDE, 3), np.uint8)
    data = ImageData.from_arrays(images, np.arange(40) % CLASSES, progress=False)
    work: Callable[[keras.Model, ImageData, bool], None] = WORK[name]
    capsys.readouterr()
    work(model, data, True)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    work(model, data, False)
    assert capsys.readouterr().err == ""
    work(model, data, True)
    shown = capsys.readouterr().err
    assert f"{name}:   0%" in shown
    # The bar is removed at its end.
    assert shown.endswith("\r") and not shown.splitlines()[-1].strip()
