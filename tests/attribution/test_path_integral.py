"""Integrated gradients and conductance: closed forms, and preserved sums."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from proxy_keras.attribution import Explainer
from proxy_keras.attribution.baselines import Baseline
from proxy_keras.attribution.method_options import BASELINES

METHODS = ["integrated_gradients", "conductance"]


@pytest.fixture
def trained_cnn(build_cnn, images):
    """A CNN that distinguishes the seven images."""
    model = build_cnn()
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(images, np.arange(7) % 4, epochs=20, verbose=0)
    return model


def rises(model, images, baseline, value_range=(0.0, 255.0)):
    """Predicted logits minus those of the baselines, [B]."""
    start = Baseline(baseline, value_range, 0)(tf.constant(images))
    logits = model.predict(images, verbose=0)
    rows = np.arange(len(images)), logits.argmax(axis=1)
    return (logits - model.predict(start, verbose=0))[rows]


def test_attributions_sum_to_the_increase_of_the_score(trained_cnn, images):
    for baseline in BASELINES:
        rise = rises(trained_cnn, images, baseline)
        for method in METHODS:
            explainer = Explainer(trained_cnn, method, baseline=baseline)
            sums = explainer.attributions(images).sum(axis=(1, 2, 3))
            np.testing.assert_allclose(sums, rise, atol=0.01 * np.abs(rise).mean())


def test_of_a_quadratic_score_is_the_closed_form_in_one_step():
    image = keras.Input((3, 4, 2))
    kernel = np.random.default_rng(0).normal(size=(24, 2)).astype(np.float32)
    top = layers.Dense(2, use_bias=False)
    model = keras.Model(image, top(layers.Flatten()(ops.square(image))))
    top.set_weights([kernel])
    images = np.random.default_rng(1).uniform(-2, 2, (5, 3, 4, 2)).astype(np.float32)
    got = Explainer(
        model,
        "integrated_gradients",
        explain=lambda logits: logits[:, 0],
        steps=1,
        baseline="white",
        value_range=(0.0, 0.5),
    ).attributions(images)
    # The integral of 2 k x from x0 to x.
    expected = kernel[:, 0].reshape(3, 4, 2) * (images**2 - 0.5**2)
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_a_bend_between_two_steps_is_found():
    # relu(a + b - 1) on the path from 0 to (1, 2): flat for the first third, then of slope 1.
    image = keras.Input((1, 2, 1))
    top = layers.Dense(2)
    model = keras.Model(image, ops.relu(top(layers.Flatten()(image))))
    top.set_weights([np.array([[1.0, 0.0], [1.0, 0.0]]), np.array([-1.0, 0.0])])
    image = np.array([1.0, 2.0], np.float32).reshape(1, 1, 2, 1)
    for steps in (1, 2, 5, 7):
        got = Explainer(model, "integrated_gradients", steps=steps).attributions(image)
        np.testing.assert_allclose(got.ravel(), [2 / 3, 4 / 3], atol=1e-5)


def test_conductance_by_hand():
    # y = h1 * h2 with h1 = 2 x, h2 = 3 x from x = 0 to 1: each unit gets the integral of 6 x.
    image = keras.Input((1, 2, 1))
    hidden = layers.Conv2D(2, (1, 2), use_bias=False, padding="same", name="hidden")
    units = hidden(image)
    products = units[..., :1] * units[..., 1:]
    model = keras.Model(image, layers.Dense(2, name="top")(layers.Flatten()(products)))
    kernel = np.zeros((1, 2, 1, 2), np.float32)
    kernel[0, 0, 0] = [2, 3]
    hidden.set_weights([kernel])
    model.get_layer("top").set_weights([np.array([[1.0, 0.0], [0.0, 0.0]]), np.zeros(2)])
    got = Explainer(model, "conductance", target_layer="hidden", steps=50).attributions(
        np.ones((1, 1, 2, 1), np.float32)
    )
    np.testing.assert_allclose(got[0, 0, 0], [3, 3], atol=1e-5)


def test_conductance_of_the_image_is_integrated_gradients(build_cnn, images):
    model = build_cnn()
    # Rescaling is linear and invertible: its units are the pixels.
    scale = next(layer.name for layer in model.layers if isinstance(layer, layers.Rescaling))
    np.testing.assert_allclose(
        Explainer(model, "conductance", target_layer=scale).attributions(images),
        Explainer(model, "integrated_gradients").attributions(images),
        atol=1e-5,
    )


@pytest.mark.parametrize("method", METHODS)
def test_the_chunks_do_not_matter(build_cnn, images, method):
    model = build_cnn()
    expected = Explainer(model, method, steps=9, chunk_size=1).attributions(images)
    for chunk_size in (14, 30, 1000):
        got = Explainer(model, method, steps=9, chunk_size=chunk_size).attributions(images)
        np.testing.assert_allclose(got, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("method", METHODS)
def test_the_heatmap_is_the_positive_part_of_the_sum_over_channels(build_cnn, images, method):
    explainer = Explainer(build_cnn(), method)
    raw = np.maximum(explainer.attributions(images).sum(axis=-1), 0)
    low = raw.min(axis=(1, 2), keepdims=True)
    expected = (raw - low) / (raw.max(axis=(1, 2), keepdims=True) - low)
    np.testing.assert_allclose(explainer.heatmaps(images), expected, atol=1e-5)


def test_an_image_that_is_its_baseline_is_blank(build_cnn):
    black = np.zeros((2, 16, 16, 3), np.float32)
    assert not Explainer(build_cnn(), "integrated_gradients").heatmaps(black).any()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("option", ["steps", "chunk_size"])
def test_options_outside_their_range_are_refused(build_cnn, method, option):
    with pytest.raises(ValueError, match=f"`{option}` must be >= 1. Received: 0"):
        Explainer(build_cnn(), method, **{option: 0})
