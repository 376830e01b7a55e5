"""The two parts of a frozen classifier: body and head."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from proxy_keras.models.frozen_split import split_frozen

IMAGES = np.random.default_rng(0).uniform(0, 255, (4, 8, 8, 3)).astype(np.float32)


def _sequential() -> keras.Model:
    return keras.Sequential(
        [keras.Input((8, 8, 3)), layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(3)]
    )


def _nested() -> keras.Model:
    """Return a network whose last layer is inside a nested model, with more after it."""
    head = keras.Sequential(
        [keras.Input((4,)), layers.ReLU(), layers.Dense(5), layers.Activation("tanh")]
    )
    inputs = keras.Input((8, 8, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(inputs))
    return keras.Model(inputs, head(x) * 2.0)


def _convolution() -> keras.Model:
    inputs = keras.Input((None, None, 3))
    x = layers.Conv2D(3, 1)(layers.Conv2D(4, 3)(inputs))
    return keras.Model(inputs, layers.GlobalAveragePooling2D()(x))


@pytest.mark.parametrize(
    ("make", "shape"), [(_sequential, (144,)), (_nested, (4,)), (_convolution, (6, 6, 4))]
)
def test_the_parts_compute_what_the_model_does(make, shape) -> None:
    model = make()
    nodes = [len(layer._inbound_nodes) for layer in model._flatten_layers()]
    split = split_frozen(model)
    features = split.body(IMAGES)
    assert features.shape == (4, *shape)
    np.testing.assert_allclose(split.head(features), model(IMAGES), atol=1e-5)
    # The parts share the weights, and leave the graph as it is.
    model.weights[-1].assign_add(np.ones(model.weights[-1].shape))
    np.testing.assert_allclose(split.head(features), model(IMAGES), atol=1e-5)
    assert [len(layer._inbound_nodes) for layer in model._flatten_layers()] == nodes


def test_an_output_that_bypasses_the_last_layer_is_refused() -> None:
    inputs = keras.Input((3,))
    x = layers.Dense(3)(inputs)
    model = keras.Model(inputs, layers.Dense(3, name="top")(x) + layers.ReLU()(inputs))
    with pytest.raises(ValueError, match="more than the input of layer 'top'"):
        split_frozen(model)


def test_a_last_layer_that_is_used_twice_is_refused() -> None:
    inputs, top = keras.Input((3,)), layers.Dense(3, name="top")
    model = keras.Model(inputs, top(layers.ReLU()(top(inputs))))
    with pytest.raises(ValueError, match="'top' is used both before and after 'top'"):
        split_frozen(model)


def test_a_last_layer_with_two_inputs_is_refused() -> None:
    inputs = keras.Input((3, 3))
    top = layers.MultiHeadAttention(1, 3, name="top")
    x = layers.Dense(3)(inputs)
    model = keras.Model(inputs, layers.Flatten()(top(x, layers.ReLU()(x))))
    with pytest.raises(ValueError, match="'top' has 2 inputs, not one"):
        split_frozen(model)
