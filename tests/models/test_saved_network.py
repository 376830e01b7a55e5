"""Saved classifiers as the start of a run: logits, trainable, and of the right classes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from proxy_keras.models.saved_network import open_network

IMAGES = np.random.default_rng(0).uniform(0, 255, (4, 8, 8, 3)).astype(np.float32)
SIDE = 8


def _saved(
    folder: Path, *end: keras.Layer, shape: tuple[int | None, ...] = (SIDE, SIDE, 3)
) -> tuple[Path, keras.Model]:
    model = keras.Sequential(
        [
            keras.Input(shape),
            layers.Rescaling(1 / 255),
            layers.Conv2D(4, 3),
            layers.GlobalAveragePooling2D(),
            *end,
        ]
    )
    model.save(folder / "model.keras")
    return folder / "model.keras", model


@pytest.mark.parametrize(
    ("end", "is_softmax"),
    [
        ([layers.Dense(3)], False),
        ([layers.Dense(3, activation="softmax")], True),
        ([layers.Dense(3), layers.Softmax()], True),
        ([layers.Dense(3), layers.Activation("log_softmax", dtype="float32")], True),
        ([keras.Sequential([keras.Input((4,)), layers.Dense(3, activation="softmax")])], True),
    ],
)
def test_the_network_returns_logits_and_is_trainable(
    tmp_path: Path, end: list[keras.Layer], is_softmax: bool
) -> None:
    file, model = _saved(tmp_path, *end)
    model.trainable = False
    model.save(file)
    network = open_network(file)
    logits, expected = network.model(IMAGES), model(IMAGES)
    assert np.allclose(logits, expected) != is_softmax
    is_log = "log_softmax" in str(end[-1].get_config())
    softmax = keras.ops.log_softmax if is_log else keras.ops.softmax
    np.testing.assert_allclose(softmax(logits) if is_softmax else logits, expected, atol=1e-6)
    assert len(network.model.trainable_variables) == 4
    network.model.save(tmp_path / "again.keras")
    again = keras.saving.load_model(tmp_path / "again.keras")
    np.testing.assert_array_equal(again(IMAGES), network.model(IMAGES))


def test_a_network_that_is_not_for_one_class_per_image_is_refused(tmp_path: Path) -> None:
    file, _ = _saved(tmp_path, layers.Dense(3, activation="sigmoid"))
    with pytest.raises(ValueError, match="one class per image. Received: .*ends with sigmoid"):
        open_network(file)


def test_a_softmax_that_cannot_be_removed_is_refused(tmp_path: Path) -> None:
    nested = keras.Sequential([keras.Input((4,)), layers.Dense(3), layers.Softmax()])
    file, _ = _saved(tmp_path, nested)
    with pytest.raises(ValueError, match="softmax inside the nested model.*Save the model without"):
        open_network(file)


@keras.saving.register_keras_serializable("tests")
class OwnSoftmax(keras.Layer):
    """A softmax that the graph does not tell."""

    def call(self, logits: Any) -> Any:
        return keras.ops.softmax(logits)


def test_probabilities_that_the_graph_does_not_tell_are_refused(tmp_path: Path) -> None:
    file, _ = _saved(tmp_path, layers.Dense(3), OwnSoftmax())
    with pytest.raises(ValueError, match=r"returns probabilities \(softmax\), computed where"):
        open_network(file)
    features = keras.Input((4,))
    average = layers.Average()([layers.Dense(3, activation="softmax")(features) for _ in "ab"])
    file, _ = _saved(tmp_path, keras.Model(features, average))
    with pytest.raises(ValueError, match="ends with a mixture of softmax"):
        open_network(file)


def test_the_image_size_is_that_of_the_network(tmp_path: Path) -> None:
    network = open_network(_saved(tmp_path, layers.Dense(3))[0])
    assert network.image_size(None) == network.image_size(SIDE) == SIDE
    with pytest.raises(ValueError, match="needs images of 8 x 8 pixels"):
        network.image_size(9)
    network = open_network(_saved(tmp_path, layers.Dense(3), shape=(None, None, 3))[0])
    assert network.image_size(None) is None and network.image_size(9) == 9
    network = open_network(_saved(tmp_path, layers.Dense(3), shape=(8, 9, 3))[0])
    with pytest.raises(ValueError, match="must be square; .* takes 8 x 9"):
        network.image_size(None)


def test_the_classes_are_those_of_the_network(tmp_path: Path) -> None:
    file, _ = _saved(tmp_path, layers.Dense(3))
    network = open_network(file)
    network.check_classes(["a", "b", "c"])
    with pytest.raises(ValueError, match="3 classes. Received: 2 classes. For other classes"):
        network.check_classes(["a", "b"])
    # In a run folder, the classes have names.
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "labels.json").write_text(json.dumps(["a", "b", "c"]))
    network = open_network(file)
    network.check_classes(["a", "b", "c"])
    with pytest.raises(ValueError, match="in its order: a, b, c. Received: b, a, c"):
        network.check_classes(["b", "a", "c"])


def test_the_precision_is_that_of_its_layers(tmp_path: Path) -> None:
    keras.config.set_dtype_policy("mixed_bfloat16")
    file, _ = _saved(tmp_path, layers.Dense(3, dtype="float32"))
    keras.config.set_dtype_policy("float32")
    network = open_network(file)
    assert network.precision == network.model.dtype_policy.name == "mixed_bfloat16"
    network.check_precision("auto")
    network.check_precision("mixed_bfloat16")
    with pytest.raises(ValueError, match="mixed_bfloat16. Leave out `precision`.*float32"):
        network.check_precision("float32")
