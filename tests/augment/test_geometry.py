"""Flips and rotations: exact on tiny arrays, keyed by the seed, within range."""

import numpy as np
import pytest
import tensorflow as tf

from proxy_keras.augment import FlipAndRotate
from proxy_keras.augment.geometry import rotate

SEED = tf.constant([3, 5], tf.int64)


def _images(n=16, size=9):
    return tf.constant(np.random.default_rng(0).random((n, size, size, 3), np.float32))


def test_flip_of_chance_one_mirrors_left_and_right():
    images = _images()
    flipped, _ = FlipAndRotate(flip=1.0, degrees=0.0)(images, tf.zeros([16]), SEED)
    np.testing.assert_array_equal(flipped, images.numpy()[:, :, ::-1])


def test_strength_zero_is_the_identity():
    images = _images()
    same, labels = FlipAndRotate(flip=0.0, degrees=0.0)(images, tf.range(16), SEED)
    np.testing.assert_array_equal(same, images)
    np.testing.assert_array_equal(labels, range(16))


def test_quarter_turn_is_counter_clockwise():
    image = tf.reshape(tf.range(9, dtype=tf.float32), [1, 3, 3, 1])
    turned = rotate(image, tf.constant([np.pi / 2], tf.float32))
    np.testing.assert_allclose(turned[0, :, :, 0], np.rot90(image[0, :, :, 0]), atol=1e-4)


def test_about_half_of_the_images_are_flipped():
    images = _images(400, 3)
    flipped, _ = FlipAndRotate(flip=0.5, degrees=0.0)(images, tf.zeros([400]), SEED)
    changed = (flipped.numpy() != images.numpy()).any(axis=(1, 2, 3)).mean()
    assert 0.4 < changed < 0.6


def test_batch_depends_on_the_seed_alone():
    augment, images = FlipAndRotate(), _images()
    first, again = (augment(images, tf.zeros([16]), SEED)[0].numpy() for _ in range(2))
    other = augment(images, tf.zeros([16]), tf.constant([3, 6], tf.int64))[0].numpy()
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert first.min() >= 0.0 and first.max() <= 1.0


@pytest.mark.parametrize("options", [{"flip": 1.1}, {"degrees": -1.0}])
def test_bad_settings_are_refused(options):
    with pytest.raises(ValueError, match="must be in"):
        FlipAndRotate(**options)


def test_undo_reverses_flips():
    augment = FlipAndRotate(flip=0.5, degrees=0.0)
    maps = _images()[..., 0]
    served, _ = augment(maps[..., tf.newaxis], tf.zeros([16]), SEED)
    assert not np.array_equal(served[..., 0], maps)
    np.testing.assert_array_equal(augment.undo(served[..., 0], SEED), maps)


def test_undo_reverses_rotations():
    augment = FlipAndRotate(flip=0.5, degrees=30.0)
    # A smooth blob off the centre that no rotation moves to the border.
    y, x = np.mgrid[:21, :21]
    blob = np.exp(-((x - 8.0) ** 2 + (y - 11.0) ** 2 / 2) / 8).astype(np.float32)
    maps = tf.constant(np.repeat(blob[np.newaxis], 16, axis=0))
    served, _ = augment(maps[..., tf.newaxis], tf.zeros([16]), SEED)
    moved = np.abs(served[..., 0] - maps).max(axis=(1, 2))
    back = np.abs(augment.undo(served[..., 0], SEED) - maps).max(axis=(1, 2))
    assert np.median(moved) > 0.2
    assert back.max() < 0.12
