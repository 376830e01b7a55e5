"""Elastic distortion: displacement fields, and images sampled with them."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from scipy.ndimage import map_coordinates

from proxy_keras.augment import elastic

SEED = tf.constant([3, 0], tf.int64)
IMAGES = tf.constant(np.random.default_rng(0).uniform(0, 255, (2, 9, 12, 3)), tf.float32)


def test_images_are_sampled_at_displaced_positions():
    draw = np.random.default_rng(1)
    down, right = draw.uniform(-4, 4, (2, 2, 9, 12)).astype(np.float32)
    made = elastic.displace(IMAGES, tf.constant(down), tf.constant(right))
    y, x = np.mgrid[:9, :12]
    for b in range(2):
        for c in range(3):
            expected = map_coordinates(
                IMAGES[b, :, :, c].numpy(), [y + down[b], x + right[b]], order=1, mode="nearest"
            )
            np.testing.assert_allclose(made[b, :, :, c], expected, atol=1e-3)


def test_fields_are_smooth_independent_and_of_unit_variance():
    fields = elastic.smooth_field(tf.constant([400, 12, 16]), tf.constant(3.0), SEED).numpy()
    np.testing.assert_allclose(fields.var(axis=0), 1.0, atol=0.3)
    # Noise smoothed with sigma 3 has a correlation of exp(-1 / (4 * 9)) at a distance of one pixel.
    neighbours = (fields[:, :, 1:] * fields[:, :, :-1]).mean()
    np.testing.assert_allclose(neighbours / (fields**2).mean(), np.exp(-1 / 36), atol=0.01)
    assert abs(np.corrcoef(fields[0].ravel(), fields[1].ravel())[0, 1]) < 0.9


@pytest.mark.parametrize("sigma", [1.0, 2.3, 30.0])
def test_the_correlation_of_a_field_is_a_gaussian_up_to_the_border(sigma):
    weights = elastic._smoothing(tf.constant(50), tf.constant(sigma)).numpy()
    apart = np.subtract.outer(np.arange(50), np.arange(50))
    np.testing.assert_allclose(np.diag(weights @ weights.T), 1.0, rtol=1e-6)
    np.testing.assert_allclose(weights @ weights.T, np.exp(-((apart / sigma) ** 2) / 4), atol=3e-4)


def test_both_directions_have_different_fields(monkeypatch):
    seen = []
    monkeypatch.setattr(elastic, "displace", lambda x, *fields: seen.extend(fields) or x)
    elastic.RandomDistortion(scale=0.1)(IMAGES, tf.eye(2), SEED)
    assert not np.allclose(seen[0], seen[1])


def test_scale_is_the_standard_deviation_of_the_displacement(monkeypatch):
    same, _ = elastic.RandomDistortion(scale=0.0)(IMAGES, tf.eye(2), SEED)
    np.testing.assert_array_equal(same, IMAGES)
    seen = []
    monkeypatch.setattr(elastic, "displace", lambda x, *fields: seen.extend(fields) or x)
    elastic.RandomDistortion(scale=0.1)(tf.zeros([500, 10, 10, 3]), tf.ones([500, 1]), SEED)
    np.testing.assert_allclose([np.std(field) for field in seen], 1.0, atol=0.15)


def test_options_are_checked():
    with pytest.raises(ValueError, match="`smooth` must be > 0"):
        elastic.RandomDistortion(smooth=0.0)
