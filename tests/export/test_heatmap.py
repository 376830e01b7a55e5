"""The heatmap without a tape: the same as the library's, for any batch, and its refusals."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from export.convert import to_onnx
from export.heatmap import METHODS, Explained
from proxy_keras.attribution import Explainer
from proxy_keras.attribution.target_layer import expose_target
from proxy_keras.graph import FlatClone

SHAPE = (16, 16, 3)


def _explained(model, method, target_layer=None):
    flat = FlatClone(model, inline_blocks=True)
    return flat, Explained(flat, expose_target(flat, target_layer)[1], method)


@pytest.mark.parametrize(
    ("method", "head"),
    [
        *((method, "pooled") for method in METHODS),
        ("grad_cam", "deep"),
        *((method, "linear") for method in METHODS),
    ],
)
def test_a_graph_answers_with_the_tape_s_heatmap(method, head, make_model, photographs, answers):
    model = make_model(head)
    flat, explained = _explained(model, method)
    graph = to_onnx(explained, flat.model.variables, SHAPE, "uint8").model
    logits, heatmaps = Explainer(model, method).logits_and_heatmaps(photographs)
    for count in (1, 7):
        found = answers(graph, photographs[:count])
        np.testing.assert_allclose(found["heatmap"], heatmaps[:count], atol=1e-5)
        np.testing.assert_allclose(found["logits"], logits[:count], rtol=1e-4, atol=1e-5)
    assert heatmaps.max() == 1.0 and np.ptp(heatmaps, axis=0).max() > 0.1


def test_a_blank_heatmap_stays_zero(make_model, answers):
    model = make_model("deep")
    # No unit of the hidden layer fires, so nothing has a gradient.
    model.layers[-2].bias.assign(np.full(9, -1e6, "float32"))
    flat, explained = _explained(model, "grad_cam")
    graph = to_onnx(explained, flat.model.variables, SHAPE, "uint8").model
    found = answers(graph, np.full((2, *SHAPE), 120, np.uint8))
    np.testing.assert_array_equal(found["heatmap"], np.zeros([2, 8, 8]))


@pytest.mark.parametrize("activation", [None, "softmax", "sigmoid", "log_softmax"])
def test_probabilities_are_the_model_s(activation, make_model, photographs):
    model = make_model(activation=activation)
    _, explained = _explained(model, "grad_cam")
    found = explained(tf.constant(photographs, tf.float32))
    own = model(photographs.astype("float32")).numpy()
    expected = {
        None: lambda: tf.nn.softmax(own).numpy(),
        "softmax": lambda: own,
        "sigmoid": lambda: own,
        "log_softmax": lambda: np.exp(own),
    }[activation]()
    np.testing.assert_allclose(found["probabilities"], expected, atol=1e-6)
    np.testing.assert_allclose(tf.argmax(found["logits"], axis=1), expected.argmax(axis=1))


def test_without_a_target_there_is_no_heatmap(make_model, photographs):
    flat = FlatClone(make_model())
    found = Explained(flat, None, "none")(tf.constant(photographs, tf.float32))
    assert set(found) == {"logits", "probabilities"}


def test_a_head_that_cannot_be_differentiated_is_refused_by_its_layer_s_name():
    images = keras.Input(SHAPE)
    cells = layers.Conv2D(4, 3, name="cells")(images)
    sequence = layers.Reshape((14 * 14, 4))(cells)
    memory = layers.GRU(5, name="memory")(sequence)
    model = keras.Model(images, layers.Dense(3)(memory))
    with pytest.raises(ValueError, match="memory.*GRU"):
        _explained(model, "grad_cam", "cells")


def test_layer_score_cam_takes_any_head():
    keras.utils.set_random_seed(1)
    images = keras.Input(SHAPE)
    cells = layers.Conv2D(4, 3, strides=4, activation="relu", name="cells")(images)
    memory = layers.SimpleRNN(5, name="memory")(layers.Reshape((16, 4))(cells))
    model = keras.Model(images, layers.Dense(3)(memory))
    _, explained = _explained(model, "layer_score_cam", "cells")
    pictures = np.random.default_rng(0).uniform(0, 2, (3, *SHAPE)).astype("float32")
    expected = Explainer(model, "layer_score_cam", target_layer="cells").heatmaps(pictures)
    traced = tf.function(explained, input_signature=[tf.TensorSpec([None, *SHAPE])])
    found = traced(tf.constant(pictures))
    np.testing.assert_allclose(found["heatmap"], expected, atol=1e-5)
    assert expected.max() == 1.0
