"""Label smoothing and sample weights, before and after mixing."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from proxy_keras import augment
from proxy_keras.augment.labels import LabelSmoothing, sample_weights

SEED = tf.constant([3, 0], tf.int64)
IMAGES = tf.constant(np.random.default_rng(0).uniform(0, 255, (4, 8, 8, 3)), tf.float32)


def test_smoothing_moves_labels_towards_uniform_shares():
    made, labels = LabelSmoothing(amount=0.2)(IMAGES, tf.eye(4), SEED)
    np.testing.assert_allclose(labels, 0.8 * np.eye(4) + 0.05, rtol=1e-6)
    np.testing.assert_array_equal(made, IMAGES)
    np.testing.assert_array_equal(LabelSmoothing(amount=0.0)(IMAGES, tf.eye(4), SEED)[1], np.eye(4))


def test_smoothing_and_mixing_commute():
    mix, smooth = augment.get("smoothmix"), LabelSmoothing()
    _, before = mix(*smooth(IMAGES, tf.eye(4), SEED), SEED)
    _, after = smooth(*mix(IMAGES, tf.eye(4), SEED), SEED)
    np.testing.assert_allclose(before, after, atol=1e-6)


def test_sample_weights_are_means_of_class_weights():
    labels = tf.constant([[1.0, 0.0], [0.25, 0.75]])
    np.testing.assert_allclose(sample_weights(labels, [2.0, 4.0]), [2.0, 3.5])
    with pytest.raises(ValueError, match="each of the 2 classes. Received: 1"):
        sample_weights(labels, [1.0])


def test_sample_weights_follow_mixed_labels():
    _, mixed = augment.get("mixup", alpha=1.0)(IMAGES, tf.eye(4), SEED)
    weights = [1.0, 2.0, 3.0, 4.0]
    np.testing.assert_allclose(sample_weights(mixed, weights), mixed.numpy() @ weights, rtol=1e-6)
    even = sample_weights(mixed, [1.0] * 4)
    np.testing.assert_allclose(even, np.ones(4), rtol=1e-6)


def test_mixing_comes_after_geometry_so_that_labels_are_areas():
    # Rotating the pasted box would change its area, but not the label.
    size = 64
    images = tf.constant([0.0, 100.0])[:, None, None, None] * tf.ones([2, size, size, 3])
    both = augment.Compose([augment.FlipAndRotate(1.0, 30.0), augment.get("cutmix")])
    for number in range(5):
        made, labels = both(images, tf.eye(2), tf.constant([number, 0], tf.int64))
        np.testing.assert_allclose(
            labels[:, 1], tf.reduce_mean(made, axis=[1, 2, 3]) / 100.0, atol=4 / size
        )
