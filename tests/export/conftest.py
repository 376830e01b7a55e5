"""Small classifiers to export, photographs to check them on, and the way to run a graph."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
from keras import layers
from numpy.typing import NDArray

from export.source import Source


@pytest.fixture
def make_model() -> Callable[..., keras.Model]:
    """Builds a seeded classifier of three classes for 16 px images."""

    def build(
        head: str = "linear", *, activation: str | None = None, size: int | None = 16
    ) -> keras.Model:
        keras.utils.set_random_seed(7)
        images = keras.Input((size, size, 3), name="images")
        x = layers.Rescaling(1 / 64, offset=-1.0)(images)
        x = layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization(name="bn")(x)
        x = layers.Conv2D(12, 3, padding="same", activation="gelu", name="cells")(x)
        if head == "pooled":
            x = layers.MaxPooling2D()(x)
        x = layers.GlobalAveragePooling2D()(x)
        if head == "deep":
            x = layers.Dense(9, activation="relu")(x)
        model = keras.Model(images, layers.Dense(3, activation=activation)(x), name="small")
        model.get_layer("bn").moving_variance.assign(np.linspace(0.5, 2.0, 8))
        return model

    return build


@pytest.fixture
def photographs() -> NDArray[np.uint8]:
    """[7, 16, 16, 3]: smooth pictures, each another."""
    coarse = np.random.default_rng(3).uniform(0, 255, (7, 4, 4, 3))
    return np.asarray(keras.ops.image.resize(coarse, (16, 16))).astype(np.uint8)


@pytest.fixture
def make_source() -> Callable[..., Source]:
    """Wraps a model as a source without data."""

    def make(model: keras.Model, **changes: object) -> Source:
        known: dict[str, object] = {
            "model": model,
            "name": "small",
            "classes": ["cat", "dog", "owl"],
            "image_size": (16, 16),
            "data": None,
            "split_sha256": None,
            "test_accuracy": None,
        }
        return Source(**{**known, **changes})

    return make


@pytest.fixture
def answers() -> Callable[[onnx.ModelProto, NDArray[np.generic]], dict[str, NDArray[np.float32]]]:
    """Runs a graph on images, and returns its outputs by name."""

    def run(model: onnx.ModelProto, images: NDArray[np.generic]) -> dict[str, NDArray[np.float32]]:
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), providers=["CPUExecutionProvider"]
        )
        names = [output.name for output in session.get_outputs()]
        return dict(zip(names, session.run(None, {"image": images}), strict=True))

    return run
