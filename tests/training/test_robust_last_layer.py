"""Last layers that are refitted after training."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from proxy_keras.data import ImageData
from proxy_keras.io.saved_model import open_saved
from proxy_keras.models.last_layer import last_dense, set_last_layer
from proxy_keras.robust.class_balanced import class_balanced
from tests.training.robust_runs import settings, trained, two_classes


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    return two_classes(tmp_path_factory.mktemp("data") / "two.npz")


@pytest.fixture(scope="module")
def balanced(source: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any, Any]:
    """The folder, weights and metrics of a run with stored features."""
    folder = tmp_path_factory.mktemp("runs") / "balanced"
    return folder, *trained(settings(source, robust="class_balanced"), folder)


@pytest.mark.slow
def test_the_last_layer_alone_is_refitted_after_the_last_epoch(
    balanced: tuple[Path, Any, Any], source: str
) -> None:
    folder, weights, metrics = balanced
    with np.load(folder / "checkpoints" / "epoch_0002" / "weights.npz") as trained_weights:
        before = list(trained_weights.values())[: len(weights)]
    assert [i for i, w in enumerate(weights) if not np.array_equal(w, before[i])] == [
        len(weights) - 2,
        len(weights) - 1,
    ]
    saved = open_saved(folder).model
    np.testing.assert_array_equal(saved.get_weights()[-1], weights[-1])
    data = ImageData.from_source(source, val=0.2)
    split = data.train
    features = keras.Model(saved.inputs, saved.layers[-1].input)
    inputs = np.concatenate([features(images) for _, images, _ in split.originals(16)])
    fitted = class_balanced(inputs, split.labels, num_classes=2, l2=1e-4)
    np.testing.assert_allclose(weights[-2], fitted.kernel, rtol=0.02, atol=0.02)
    # Earlier epochs lack what the method does, so validation selects none.
    assert list(metrics["selected"]) == ["last"]
    assert metrics["robust"]["images"] == len(split) == 80
    assert metrics["robust"]["optimizer_steps"] == 0 and metrics["robust"]["is_converged"]
    assert metrics["cpu_seconds"] > metrics["robust"]["cpu_seconds"] > 0.0


@pytest.mark.slow
def test_resuming_after_the_last_epoch_gives_the_same_bits(
    balanced: tuple[Path, Any, Any], source: str, tmp_path: Path
) -> None:
    folder, weights, _ = balanced
    shutil.copytree(folder, tmp_path / "run")
    (tmp_path / "run" / "metrics.json").unlink()
    again, _ = trained(settings(source, robust="class_balanced"), tmp_path / "run")
    for weight, other in zip(weights, again, strict=True):
        np.testing.assert_array_equal(weight, other)


def test_the_last_layer_must_be_dense_with_a_bias() -> None:
    images = keras.Input((4, 4, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(2, 1)(images))
    with pytest.raises(ValueError, match="Received: 'conv2d.*', a Conv2D of inputs"):
        last_dense(keras.Model(images, pooled))
    model = keras.Model(images, keras.layers.Dense(2, use_bias=False)(pooled))
    with pytest.raises(ValueError, match="a Dense layer with a bias"):
        set_last_layer(model, np.zeros([2, 2]), np.zeros([2]))
