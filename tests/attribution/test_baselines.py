"""Baseline images."""

import numpy as np
import pytest
import tensorflow as tf

from proxy_keras.attribution import Explainer
from proxy_keras.attribution.baselines import Baseline
from proxy_keras.attribution.method_options import BASELINES


def baseline(name, images, value_range=(-1.0, 3.0), seed=0, number=0):
    return Baseline(name, value_range, seed)(tf.constant(images), number).numpy()


def test_black_white_and_mean(images):
    np.testing.assert_array_equal(baseline("black", images), np.full_like(images, -1))
    np.testing.assert_array_equal(baseline("white", images), np.full_like(images, 3))
    mean = images.mean(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(
        baseline("mean", images), np.broadcast_to(mean, images.shape), rtol=1e-5
    )


def test_blur_keeps_colours_and_removes_details():
    rng = np.random.default_rng(0)
    images = np.full((1, 24, 32, 3), [10.0, 20.0, 30.0], np.float32)
    np.testing.assert_allclose(baseline("blur", images), images, rtol=1e-5)
    noisy = (images + rng.normal(0, 5, images.shape)).astype(np.float32)
    blurred = baseline("blur", noisy)
    assert np.abs(blurred - images).max() < 2
    # A single light pixel becomes a Gaussian whose standard deviation is 1/8 of the side.
    spot = np.zeros((1, 33, 65, 1), np.float32)
    spot[0, 16, 32] = 1
    hill = baseline("blur", spot)[0, :, :, 0]
    assert hill.argmax() == 16 * 65 + 32
    np.testing.assert_allclose(hill[16, 40] / hill[16, 32], np.exp(-0.5 * (8 / 8.125) ** 2), 1e-2)
    np.testing.assert_allclose(hill[20, 32] / hill[16, 32], np.exp(-0.5 * (4 / 4.125) ** 2), 1e-2)


def test_uniform_noise_fills_the_range_and_is_the_same_for_every_image(images):
    noise = baseline("uniform", images)
    assert (noise == noise[:1]).all()
    assert -1 <= noise.min() < -0.9
    assert 2.9 < noise.max() < 3
    np.testing.assert_array_equal(noise, baseline("uniform", images))
    assert np.abs(noise - baseline("uniform", images, seed=1)).max() > 1
    assert np.abs(noise - baseline("uniform", images, number=1)).max() > 1


@pytest.mark.parametrize("name", BASELINES)
def test_baselines_of_huge_and_constant_images_are_finite(name):
    for value in (0.0, 1e6):
        assert np.isfinite(baseline(name, np.full((2, 5, 7, 3), value, np.float32))).all()


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"baseline": "grey"}, "`baseline` must be one of .*'black'.*Received: 'grey'"),
        ({"value_range": (1.0, 1.0)}, r"`value_range` must be \(lowest, highest\)"),
        ({"value_range": (0.0, float("inf"))}, r"`value_range` must be \(lowest, highest\)"),
    ],
)
@pytest.mark.parametrize(
    "method", ["integrated_gradients", "conductance", "deep_lift", "gradient_shap"]
)
def test_options_outside_their_range_are_refused(build_cnn, method, option, message):
    with pytest.raises(ValueError, match=message):
        Explainer(build_cnn(), method, **option)
