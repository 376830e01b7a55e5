"""SmoothGrad, SmoothGrad-Squared and VarGrad against NumPy, with a known gradient."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers, ops

from proxy_keras.attribution import Explainer
from proxy_keras.attribution.stateless_random import normal

METHODS = ["smooth_grad", "smooth_grad_squared", "var_grad"]


def scaled(maps):
    low = maps.min(axis=(1, 2), keepdims=True)
    return (maps - low) / (maps.max(axis=(1, 2), keepdims=True) - low)


def cubic_model(kernel):
    """Logit k is the sum of kernel[..., k] * image ** 3."""
    image = keras.Input(kernel.shape[:3])
    cubes = layers.Flatten()(image * ops.square(image))
    top = layers.Dense(kernel.shape[3], use_bias=False)
    model = keras.Model(image, top(cubes))
    top.set_weights([kernel.reshape(-1, kernel.shape[3])])
    return model


@pytest.mark.parametrize("chunk_size", [1, 6, 1000])
@pytest.mark.parametrize("method", METHODS)
def test_is_its_definition_in_numpy(method, chunk_size):
    rng = np.random.default_rng(0)
    kernel = rng.normal(size=(4, 5, 3, 2)).astype(np.float32)
    images = rng.uniform(-1, 3, (2, 4, 5, 3)).astype(np.float32)
    model = cubic_model(kernel)
    rows = kernel[..., model.predict(images, verbose=0).argmax(axis=1)]
    draws = np.stack([normal(tf.constant([4, 5, 3]), 7, n).numpy() for n in range(9)])
    ranges = np.ptp(images, axis=(1, 2, 3), keepdims=True)
    noisy = images + 0.2 * ranges * draws[:, None]
    gradients = 3 * noisy**2 * np.moveaxis(rows, -1, 0)
    statistic = {
        "smooth_grad": np.abs(gradients.mean(axis=0)),
        "smooth_grad_squared": (gradients**2).mean(axis=0),
        "var_grad": gradients.var(axis=0),
    }[method]
    got = Explainer(model, method, samples=9, noise=0.2, seed=7, chunk_size=chunk_size).heatmaps(
        images
    )
    np.testing.assert_allclose(got, scaled(statistic.max(axis=-1)), atol=1e-5)


def test_without_noise_smooth_grad_is_saliency_and_variance_is_zero(build_cnn, images):
    model = build_cnn()
    saliency = Explainer(model, "saliency").heatmaps(images)
    got = Explainer(model, "smooth_grad", samples=3, noise=0.0).heatmaps(images)
    np.testing.assert_allclose(got, saliency, atol=1e-5)
    assert not Explainer(model, "var_grad", samples=3, noise=0.0).heatmaps(images).any()


def test_variance_is_zero_for_a_linear_score(images):
    image = keras.Input((16, 16, 3))
    model = keras.Model(image, layers.Dense(3)(layers.Flatten()(image)))
    assert not Explainer(model, "var_grad", noise=1.0).heatmaps(images).any()


@pytest.mark.parametrize("method", METHODS)
def test_the_seed_decides_and_the_batch_does_not(build_cnn, images, method):
    model = build_cnn()
    first = Explainer(model, method, samples=4)
    heat = first.heatmaps(images)
    np.testing.assert_array_equal(heat, Explainer(model, method, samples=4).heatmaps(images))
    np.testing.assert_allclose(first.heatmaps(images[3:4]), heat[3:4], atol=1e-5)
    assert np.abs(heat - Explainer(model, method, samples=4, seed=1).heatmaps(images)).max() > 0.01


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(-(2**40), 2**40), number=st.integers(0, 1000))
def test_draws_depend_on_seed_and_number_only(seed, number):
    shape = tf.constant([64])
    draw = normal(shape, seed, number)
    np.testing.assert_array_equal(draw, normal(shape, seed, number))
    assert np.abs(draw - normal(shape, seed, number + 1)).max() > 0.1
    assert np.abs(draw - normal(shape, seed + 1, number)).max() > 0.1


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"samples": 0}, "`samples` must be >= 1. Received: 0"),
        ({"noise": -0.1}, "`noise` must be >= 0"),
        ({"noise": float("nan")}, "`noise` must be >= 0"),
        ({"chunk_size": 0}, "`chunk_size` must be >= 1"),
    ],
)
def test_options_outside_their_range_are_refused(build_cnn, option, message):
    with pytest.raises(ValueError, match=message):
        Explainer(build_cnn(), "smooth_grad", **option)
