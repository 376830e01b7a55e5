"""Stability under noise, exact for a method that shows the image itself."""

import numpy as np
import pytest

from proxy_keras.metrics import spearman, stability


def scaled(maps):
    low = maps.min(axis=(1, 2), keepdims=True)
    return (maps - low) / (maps.max(axis=(1, 2), keepdims=True) - low)


def test_a_map_of_the_image_moves_as_the_image_does(build_cnn, images):
    result = stability(build_cnn(), images, "brightness", radius=0.1, samples=3, seed=5)
    plain = scaled(images.mean(axis=-1))
    correlations, changes = [], []
    for sample in range(3):
        noise = np.random.default_rng([5, sample]).uniform(-25.5, 25.5, (12, 12, 3))
        noisy = scaled((images + noise).mean(axis=-1))
        correlations.append(spearman(plain, noisy))
        change = np.linalg.norm((noisy - plain).reshape(5, -1), axis=1)
        changes.append(change / np.linalg.norm(plain.reshape(5, -1), axis=1))
    np.testing.assert_allclose(result.spearman, np.mean(correlations, axis=0), atol=1e-3)
    np.testing.assert_allclose(result.max_sensitivity, np.max(changes, axis=0), atol=1e-4)


def test_noise_is_a_share_of_the_range(build_cnn, images):
    model = build_cnn()
    wide = stability(model, images, "brightness", radius=0.1)
    narrow = stability(model, images, "brightness", radius=0.2, value_range=(0.0, 127.5))
    np.testing.assert_allclose(wide.spearman, narrow.spearman, atol=1e-6)
    assert (stability(model, images, "brightness", radius=0.4).spearman < wide.spearman).all()


def test_a_map_that_is_always_blank_is_stable(build_cnn, images):
    result = stability(build_cnn(), images, "blank", samples=2)
    np.testing.assert_array_equal(result.spearman, 1)
    np.testing.assert_array_equal(result.max_sensitivity, 0)


def test_a_blank_map_that_noise_fills_changes_by_all_of_it(build_cnn):
    grey = np.full((2, 12, 12, 3), 100.0, np.float32)
    result = stability(build_cnn(), grey, "brightness", samples=2)
    np.testing.assert_array_equal(result.spearman, 0)
    np.testing.assert_allclose(result.max_sensitivity, 1)


def test_an_image_has_its_result_in_any_batch(build_cnn, images):
    model = build_cnn()
    whole = stability(model, images, "grad_cam", radius=0.2, samples=2)
    single = stability(model, images[3:4], "grad_cam", radius=0.2, samples=2, batch_size=1)
    np.testing.assert_allclose(single.spearman, whole.spearman[3:4], atol=1e-3)
    np.testing.assert_allclose(single.max_sensitivity, whole.max_sensitivity[3:4], atol=1e-4)
    other = stability(model, images, "grad_cam", radius=0.2, samples=2, seed=1)
    assert np.abs(other.max_sensitivity - whole.max_sensitivity).max() > 1e-4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"radius": 0.0}, "`radius` must be > 0"),
        ({"samples": 0}, "`samples` must be >= 1"),
        ({"value_range": (1.0, 0.0)}, "low < high"),
    ],
)
def test_wrong_arguments_are_refused(build_cnn, images, options, message):
    with pytest.raises(ValueError, match=message):
        stability(build_cnn(), images, "blank", **options)
