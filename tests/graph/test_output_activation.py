"""Probabilities are recognised at any end of a network, and their logits keep their gradients."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from proxy_keras.attribution import Explainer
from proxy_keras.graph import FlatClone
from proxy_keras.graph.output_activation import measured_activation, without_activation

IMAGES = np.random.default_rng(0).uniform(0, 255, (5, 8, 8, 3)).astype(np.float32)


class OwnDense(layers.Dense):
    """A layer that Keras cannot describe by its config alone."""


def features(image):
    x = layers.Rescaling(1 / 64)(image)
    return layers.Conv2D(6, 3, activation="relu", name="conv")(x)


def dense(x, activation=None):
    return layers.Dense(4, activation=activation)(layers.GlobalAveragePooling2D()(x))


def network(end):
    keras.utils.set_random_seed(1)
    image = keras.Input((8, 8, 3))
    return keras.Model(image, end(features(image)))


def ensemble(combine, end="softmax", members=3, gain=1.0):
    keras.utils.set_random_seed(1)
    image = keras.Input((8, 8, 3))

    def member():
        own = keras.Input((8, 8, 3))
        logits = layers.Rescaling(gain)(dense(features(own)))
        return keras.Model(own, layers.Activation(end)(logits))

    return keras.Model(image, combine([member()(image) for _ in range(members)]))


FROM_GRAPH = {
    "softmax layer": lambda: network(lambda x: layers.Softmax()(dense(x))),
    "dropout": lambda: network(lambda x: layers.Dropout(0.5)(dense(x, "softmax"))),
    "reshape": lambda: network(
        lambda x: layers.Reshape((4,))(layers.Conv2D(4, 6, activation="softmax")(x))
    ),
    "flatten": lambda: network(
        lambda x: layers.Flatten()(layers.Softmax()(layers.Conv2D(4, 6)(x)))
    ),
    "squeeze": lambda: network(
        lambda x: ops.squeeze(layers.Conv2D(4, 6, activation="softmax")(x), (1, 2))
    ),
    "convolution and pooling": lambda: network(
        lambda x: layers.GlobalAveragePooling2D()(layers.Conv2D(4, 1, activation="softmax")(x))
    ),
    "convolution and mean": lambda: network(
        lambda x: ops.mean(layers.Conv2D(4, 1, activation="softmax")(x), axis=(1, 2))
    ),
    "average": lambda: ensemble(layers.Average()),
    "sum and division": lambda: ensemble(lambda parts: sum(parts[1:], parts[0]) / 3),
    "weighted sum": lambda: ensemble(lambda parts: 0.2 * parts[0] + parts[1] * 0.8, members=2),
}
MEASURED = {
    "lambda": lambda: network(lambda x: layers.Lambda(lambda z: tf.nn.softmax(z))(dense(x))),
    "lambda after softmax": lambda: network(
        lambda x: layers.Lambda(lambda p: p * 1)(dense(x, "softmax"))
    ),
    "stacked ensemble": lambda: ensemble(lambda parts: ops.mean(ops.stack(parts, 0), 0)),
    "activation of TensorFlow": lambda: network(lambda x: dense(x, tf.nn.softmax)),
    "layer of one's own": lambda: network(
        lambda x: OwnDense(4, activation="softmax")(layers.GlobalAveragePooling2D()(x))
    ),
    "divided by its sum": lambda: network(
        lambda x: (lambda p: p / ops.sum(p, -1, keepdims=True))(dense(x, "softplus"))
    ),
    "clipped": lambda: network(lambda x: ops.clip(dense(x, "softmax"), 1e-7, 1.0)),
}
SIGMOIDS = {
    "layer": (False, lambda: network(lambda x: dense(x, "sigmoid"))),
    "average": (False, lambda: ensemble(layers.Average(), "sigmoid")),
    "flatten": (
        False,
        lambda: network(lambda x: layers.Flatten()(layers.Conv2D(4, 6, activation="sigmoid")(x))),
    ),
    "lambda": (True, lambda: network(lambda x: layers.Lambda(tf.sigmoid)(dense(x)))),
    "maximum": (
        True,
        lambda: network(
            lambda x: layers.GlobalMaxPooling2D()(layers.Conv2D(4, 1, activation="sigmoid")(x))
        ),
    ),
}


def check(model, activation, is_measured):
    before = model.predict(IMAGES, verbose=0)
    clone = FlatClone(model)
    assert (clone.activation, clone.is_measured) == (activation, is_measured)
    found = clone.probabilities(clone.model(IMAGES))
    np.testing.assert_allclose(found, before, atol=1e-5)
    # The copy is changed, and the model is not.
    np.testing.assert_array_equal(model.predict(IMAGES, verbose=0), before)


@pytest.mark.parametrize("build", FROM_GRAPH.values(), ids=FROM_GRAPH)
def test_softmax_is_recognised_by_the_graph(build):
    check(build(), "softmax", is_measured=False)


@pytest.mark.parametrize("build", MEASURED.values(), ids=MEASURED)
def test_softmax_is_measured_where_the_graph_does_not_tell(build):
    model = build()
    check(model, "softmax", is_measured=True)
    assert FlatClone(model).output_description == "softmax of logits (measured by range and sum)"


@pytest.mark.parametrize(("is_measured", "build"), SIGMOIDS.values(), ids=SIGMOIDS)
def test_sigmoids_are_recognised(is_measured, build):
    check(build(), "sigmoid", is_measured)


@pytest.mark.parametrize("activation", [None, "relu", "tanh", "softplus"])
def test_logits_stay_as_they_are(activation):
    model = network(lambda x: dense(x, activation))
    clone = FlatClone(model)
    assert clone.activation is None
    assert clone.is_measured == (activation is not None)
    np.testing.assert_allclose(clone.model(IMAGES), model(IMAGES), atol=1e-5)


@pytest.mark.parametrize("combine", [layers.Average(), lambda p: (p[0] + p[1] + p[2]) / 3])
def test_a_saturated_ensemble_is_not_explained_by_a_blank_map(combine):
    model = ensemble(combine, gain=1e4)
    assert (model.predict(IMAGES, verbose=0).max(axis=1) > 0.33).all()
    explainer = Explainer(model, "saliency")
    logits, heatmaps = explainer.logits_and_heatmaps(IMAGES)
    assert np.abs(logits).max() > 100
    assert (heatmaps.max(axis=(1, 2)) == 1).all()


def test_an_activation_is_left_out_of_a_model_that_is_not_copied():
    model = network(lambda x: layers.Dropout(0.5)(dense(x, "softmax")))
    expected = model.predict(IMAGES, verbose=0)
    logits, name = without_activation(model.outputs[0])
    assert name == "softmax"
    found = keras.Model(model.inputs, logits).predict(IMAGES, verbose=0)
    np.testing.assert_allclose(ops.softmax(found), expected, atol=1e-6)
    mean = network(lambda x: layers.Average()([dense(x, "softmax"), dense(x, "softmax")]))
    for end, expected in ((mean, "a mixture of softmax"), (MEASURED["lambda"](), None)):
        tensor, name = without_activation(end.outputs[0])
        assert tensor is end.outputs[0] and name == expected


def test_logits_of_an_ensemble_of_one_are_those_of_the_network_centred():
    model = ensemble(lambda parts: parts[0] * 1.0, members=1)
    logits = FlatClone(model).model(IMAGES).numpy()
    log = np.log(model.predict(IMAGES, verbose=0))
    np.testing.assert_allclose(logits, log - log.mean(axis=1, keepdims=True), atol=1e-5)


@pytest.mark.parametrize(
    ("outputs", "expected"),
    [
        ([[0.2, 0.8], [1.0, 0.0]], "softmax"),
        ([[0.2, 0.9], [1.0, 0.4]], "sigmoid"),
        ([[0.0, 0.9], [0.0, 0.4]], None),
        ([[0.2, 1.8], [0.5, 0.5]], None),
        ([[-0.1, 1.1], [0.5, 0.5]], None),
        ([[np.nan, 0.5], [0.5, 0.5]], None),
    ],
)
def test_outputs_are_judged_by_range_and_sum(outputs, expected):
    assert measured_activation(np.array(outputs, np.float32)) == expected
