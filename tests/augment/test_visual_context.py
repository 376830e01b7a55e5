"""VisualContext: objects are pasted in matching surroundings."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from proxy_keras.augment import visual_context as module

SEED = tf.constant([3, 0], tf.int64)


def scene() -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Two scenes, green left and blue right: a red object in the green, a white one in the
    blue."""
    images = np.zeros([2, 16, 16, 3], np.float32)
    images[:, :, :8, 1] = images[:, :, 8:, 2] = 200.0
    masks = np.zeros([2, 16, 16], np.float32)
    images[0, 6:9, 2:5], masks[0, 6:9, 2:5] = (250.0, 0.0, 0.0), 1.0
    images[1, 6:9, 11:14], masks[1, 6:9, 11:14] = 250.0, 1.0
    return tf.constant(images), tf.eye(2), tf.constant(masks)


@pytest.fixture(autouse=True)
def swapped(monkeypatch):
    monkeypatch.setattr(module, "partners", lambda *_: tf.constant([1, 0]))


@pytest.mark.parametrize("number", range(4))
def test_objects_are_pasted_where_the_surrounding_colours_match(number):
    images, labels, masks = scene()
    layer = module.VisualContext(places=30)
    made, mixed = layer(images, labels, tf.constant([number, 0], tf.int64), masks)
    made = made.numpy()
    is_white = np.all(made[0] == 250.0, axis=-1)
    is_red = np.all(made[1] == (250.0, 0.0, 0.0), axis=-1)
    assert is_white.any() and not is_white[:, :7].any()
    assert is_red.any() and not is_red[:, 9:].any()
    np.testing.assert_allclose(mixed[0, 1], is_white.mean())
    np.testing.assert_allclose(mixed[1, 0], is_red.mean())


def test_large_objects_and_empty_masks_are_not_pasted():
    images, labels, masks = scene()
    for nothing in (tf.zeros_like(masks), tf.ones_like(masks)):
        made, mixed = module.VisualContext()(images, labels, SEED, nothing)
        np.testing.assert_array_equal(made, images)
        np.testing.assert_array_equal(mixed, labels)


def test_the_ring_surrounds_the_object():
    mask = np.zeros([1, 8, 8, 1], np.float32)
    mask[0, 3, 3] = 1.0
    ring = module.surroundings(tf.constant(mask), 0.125)
    expected = np.zeros([8, 8])
    expected[2:5, 2:5] = 1.0
    expected[3, 3] = 0.0
    np.testing.assert_array_equal(ring[0, :, :, 0], expected)
    np.testing.assert_allclose(module.centres(tf.constant(mask)), [[3.0, 3.0]])


def test_images_are_shifted_by_whole_pixels():
    image = tf.constant(np.arange(1.0, 17.0, dtype=np.float32).reshape(1, 4, 4, 1))
    made = module.translate(image, tf.constant([[1, -2]]))[0, :, :, 0]
    expected = np.zeros([4, 4])
    expected[1:, :2] = image[0, :3, 2:, 0]
    np.testing.assert_array_equal(made, expected)


def test_options_are_checked():
    with pytest.raises(ValueError, match="`places` must be a whole number >= 1"):
        module.VisualContext(places=0)
    with pytest.raises(ValueError, match="`largest` must be in"):
        module.VisualContext(largest=2.0)
