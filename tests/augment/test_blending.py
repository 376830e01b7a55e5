"""SamplePairing, Remix, mixing with deletion: formulas on small arrays."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from proxy_keras.augment import blending

SEED = tf.constant([3, 0], tf.int64)
IMAGES = tf.constant([10.0, 20.0, 40.0])[:, None, None, None] * tf.ones([3, 8, 8, 3])
LABELS = tf.eye(3)
NEXT = tf.constant([1, 2, 0])


@pytest.fixture(autouse=True)
def known_partners(monkeypatch):
    monkeypatch.setattr(blending, "partners", lambda *_: NEXT)


def test_sample_pairing_is_the_mean_with_the_first_label():
    made, labels = blending.SamplePairing()(IMAGES, LABELS, SEED)
    np.testing.assert_array_equal(made[:, 0, 0, 0], [15.0, 30.0, 25.0])
    np.testing.assert_array_equal(labels, LABELS)
    same, _ = blending.SamplePairing(weight=0.0)(IMAGES, LABELS, SEED)
    np.testing.assert_array_equal(same, IMAGES)


@pytest.mark.parametrize(
    ("weight", "own", "other", "expected"),
    [
        (0.4, 300.0, 100.0, 0.0),  # 3 times as frequent, with the smaller weight: loses its share
        (0.4, 299.0, 100.0, 0.4),  # less than 3 times as frequent
        (0.6, 300.0, 100.0, 0.6),  # has the larger weight
        (0.6, 100.0, 300.0, 1.0),  # the partner loses its share
        (0.4, 100.0, 300.0, 0.4),  # the partner has the larger weight
        (0.4, 100.0, 100.0, 0.4),
    ],
)
def test_remix_is_equation_7(weight, own, other, expected):
    made = blending.remix_weight(tf.constant([weight]), tf.constant([own / other]), 3.0, 0.5)
    np.testing.assert_allclose(made, [expected])


def test_remix_favours_the_rarer_class_and_mixes_pixels_like_mixup(monkeypatch):
    monkeypatch.setattr(blending, "beta", lambda *_: tf.constant([0.4, 0.4, 0.4]))
    layer = blending.Remix(class_counts=(900, 100, 100))
    made, labels = layer(IMAGES, LABELS, SEED)
    np.testing.assert_allclose(made[:, 0, 0, 0], [16.0, 32.0, 22.0], rtol=1e-6)
    np.testing.assert_allclose(labels, [[0, 1, 0], [0, 0.4, 0.6], [0.6, 0, 0.4]], rtol=1e-6)
    plain, shares = blending.Remix()(IMAGES, LABELS, SEED)
    np.testing.assert_array_equal(plain, made)
    np.testing.assert_allclose(shares[0], [0.4, 0.6, 0.0], rtol=1e-6)


def test_remix_needs_the_class_counts_until_they_are_set():
    layer = blending.Remix()
    assert layer.missing_statistics == ("class_counts",)
    layer.set_statistic("class_counts", np.array([5, 0, 7]))
    assert layer.class_counts == (5.0, 1.0, 7.0) and layer.missing_statistics == ()
    with pytest.raises(ValueError, match="does not need 'mean_colour'"):
        layer.set_statistic("mean_colour", [1, 2, 3])


def test_mixing_with_deletion_deletes_from_the_mixture(monkeypatch):
    monkeypatch.setattr(blending, "beta", lambda *_: tf.constant([0.25, 0.5, 1.0]))
    box = [tf.constant([float(x)] * 3) for x in (2, 0, 3, 4)]
    monkeypatch.setattr(blending, "random_boxes", lambda *_: box)
    made, labels = blending.ImageMixingDeletion(fill=0.0)(IMAGES, LABELS, SEED)
    expected = np.broadcast_to(np.array([17.5, 30.0, 40.0])[:, None, None], [3, 8, 8]).copy()
    expected[:, 2:5, 0:4] = 0.0
    np.testing.assert_allclose(made[..., 0], expected)
    np.testing.assert_allclose(labels, [[0.25, 0.75, 0], [0, 0.5, 0.5], [0, 0, 1]])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kappa": 0.5}, "`kappa` must be a number >= 1"),
        ({"class_counts": (1, 0)}, "`class_counts` must be > 0"),
        ({"tau": 2}, "`tau` must be in"),
    ],
)
def test_options_of_remix_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        blending.Remix(**options)


def test_remix_needs_a_count_for_each_class():
    with pytest.raises(ValueError, match="one number for each of the 3 classes. Received: 2"):
        blending.Remix(class_counts=(1, 2))(IMAGES, LABELS, SEED)
