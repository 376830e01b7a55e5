"""SmoothMix, ResizeMix, RICAP: masks, crops and their labels."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy_keras.augment import pasting
from proxy_keras.augment.boxes import warp_boxes

SEED = tf.constant([3, 0], tf.int64)


def flat(*values: float, size: int = 16) -> tf.Tensor:
    return tf.constant(values)[:, None, None, None] * tf.ones([len(values), size, size, 3])


def test_the_mask_of_smoothmix_is_a_gaussian():
    made = pasting.gaussians(tf.constant([1]), tf.constant([2]), tf.constant([1.5]), 3, 4)
    y, x = np.mgrid[:3, :4]
    expected = np.exp(-((y - 1) ** 2 + (x - 2) ** 2) / (2 * 1.5**2))
    np.testing.assert_allclose(made[0, :, :, 0], expected, rtol=1e-6)


@settings(max_examples=15, deadline=None)
@given(
    name=st.sampled_from(["SmoothMix", "ResizeMix", "RICAP"]),
    count=st.integers(1, 5),
    number=st.integers(0, 99),
)
def test_labels_are_the_shares_of_the_images(name, count, number):
    # Image i has the value 1 in channel i and 0 elsewhere, so a channel's mean is its share.
    images = np.zeros([count, 12, 16, 5], np.float32)
    images[np.arange(count), :, :, np.arange(count)] = 1.0
    labels = tf.eye(count, 5)
    made, mixed = getattr(pasting, name)()(
        tf.constant(images), labels, tf.constant([number, 0], tf.int64)
    )
    np.testing.assert_allclose(mixed, tf.reduce_mean(made, axis=[1, 2]), atol=1e-5)
    np.testing.assert_allclose(mixed.numpy().sum(axis=1), 1.0, atol=1e-5)


def test_resizemix_resizes_the_whole_partner_into_the_box(monkeypatch):
    images = tf.constant(np.random.default_rng(0).uniform(size=(2, 8, 8, 3)), tf.float32)
    monkeypatch.setattr(pasting, "partners", lambda *_: tf.constant([1, 0]))
    starts = iter((2, 1))
    monkeypatch.setattr(pasting, "integers", lambda shape, *_: tf.fill(shape, next(starts)))
    made, _ = pasting.ResizeMix(scale=(0.5, 0.5))(images, tf.eye(2), SEED)
    expected = tf.image.resize(tf.gather(images, [1, 0]), [4, 4])
    np.testing.assert_allclose(made[:, 2:6, 1:5], expected, atol=1e-5)
    whole = warp_boxes(images, tf.constant([[0, 0, 8, 8]]), tf.constant([[0, 0, 8, 8]]))
    np.testing.assert_allclose(whole, images, atol=1e-6)


def test_resizemix_pastes_a_share_of_the_side(monkeypatch):
    monkeypatch.setattr(pasting, "partners", lambda *_: tf.constant([1, 0]))
    made, labels = pasting.ResizeMix(scale=(0.5, 0.5))(flat(1.0, 2.0), tf.eye(2), SEED)
    np.testing.assert_allclose(labels, [[0.75, 0.25], [0.25, 0.75]])
    assert np.sum(made.numpy()[0, :, :, 0] == 2.0) == 64
    same, labels = pasting.ResizeMix(scale=(0.0, 0.0))(flat(1.0, 2.0), tf.eye(2), SEED)
    np.testing.assert_array_equal(same, flat(1.0, 2.0))
    np.testing.assert_array_equal(labels, np.eye(2))


def test_four_corners_are_crops_of_four_images():
    images = np.arange(4 * 4 * 6, dtype=np.float32).reshape(4, 4, 6, 1)
    made = pasting.four_corners(
        tf.constant(images),
        tf.constant([[0, 1, 2, 3]] * 4),
        tf.constant([1] * 4),
        tf.constant([2] * 4),
        tf.constant([[3, 0, 1, 0]] * 4),
        tf.constant([[3, 0, 1, 2]] * 4),
    )
    expected = np.block(
        [
            [images[0, 3:4, 3:5, 0], images[1, 0:1, 0:4, 0]],
            [images[2, 1:4, 1:3, 0], images[3, 0:3, 2:6, 0]],
        ]
    )
    for image in made:
        np.testing.assert_array_equal(image[..., 0], expected)


def test_ricap_returns_the_image_if_it_fills_the_whole_area(monkeypatch):
    monkeypatch.setattr(pasting, "beta", lambda shape, *_: tf.ones(shape))
    images = tf.constant(np.random.default_rng(0).uniform(size=(3, 8, 8, 3)), tf.float32)
    made, labels = pasting.RICAP()(images, tf.eye(3), SEED)
    np.testing.assert_array_equal(made, images)
    np.testing.assert_array_equal(labels, np.eye(3))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: pasting.SmoothMix(spread=(0.0, 1.0)), "`spread` must be"),
        (lambda: pasting.ResizeMix(scale=(0.5, 1.5)), "`scale` must be"),
        (lambda: pasting.RICAP(alpha=0), "`alpha` must be > 0"),
    ],
)
def test_options_are_checked(make, message):
    with pytest.raises(ValueError, match=message):
        make()
