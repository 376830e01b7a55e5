"""KeepAugment: selective cuts avoid the hot region, selective pastes restore it."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from proxy_keras import augment
from proxy_keras.augment.stateless_random import partners
from tests.augment.map_batches import coloured, levels, planted, seed, shares_shown, shown_class


def test_a_cut_spares_the_hot_region():
    images = tf.fill([8, 16, 16, 3], 100.0)
    labels = tf.one_hot(range(8), 8)
    hot = planted(8, 16, [(y, x) for y in range(4, 10) for x in range(4, 10)])
    for number in range(4):
        layer = augment.get("keep_augment", length=0.375, quantile=0.3)
        made, kept = layer(images, labels, seed(number), hot)
        is_cut = made.numpy()[..., 0] == 0.0
        np.testing.assert_array_equal(is_cut.sum(axis=(1, 2)), 36)
        np.testing.assert_array_equal(kept, labels)
        importance = (is_cut & (hot.numpy() > 0)).sum(axis=(1, 2))
        # The heat inside the box at all 11 x 11 positions.
        every = [
            float(tf.reduce_sum(hot[0, y : y + 6, x : x + 6])) for y in range(11) for x in range(11)
        ]
        assert importance.max() <= np.sort(every)[int(0.3 * 120)]


def test_a_cut_filled_by_another_image_changes_labels_by_area():
    images, labels = levels(n=5, side=16)
    hot = planted(5, 16, [(y, x) for y in range(16) for x in range(8)])
    layer = augment.get("keep_augment", inner="cutmix", length=0.25, quantile=0.0)
    made, mixed = layer(images, labels, seed(), hot)
    shown = shown_class(made)
    assert (shown[:, :, :8] == np.arange(5)[:, None, None]).all()
    np.testing.assert_allclose(shares_shown(made), mixed, atol=1e-6)
    assert (shares_shown(made).max(axis=1) < 1).any()


def test_the_hot_region_is_restored_after_another_augmentation():
    images, labels = coloured(n=4, side=16, classes=4)
    hot = planted(4, 16, [(y, x) for y in range(2, 10) for x in range(6, 14)])
    layer = augment.get("keep_augment", inner="mixup:alpha=1.0", length=0.5, quantile=1.0)
    made, mixed = layer(images, labels, seed(), hot)
    inner = augment.get("mixup", alpha=1.0)(images, labels, tf.random.fold_in(seed(), 1))
    np.testing.assert_array_equal(made[:, 2:10, 6:14], images[:, 2:10, 6:14])
    np.testing.assert_allclose(made[:, 10:], inner[0][:, 10:], atol=1e-4)
    np.testing.assert_allclose(mixed, 0.75 * inner[1] + 0.25 * labels, atol=1e-6)


def test_lengths_0_and_1_change_nothing():
    images, labels = coloured(n=4)
    for options in ({"inner": "mixup", "length": 1.0}, {"length": 0.0}):
        made, mixed = augment.get("keep_augment", **options)(
            images, labels, seed(), tf.zeros([4, 2, 2])
        )
        np.testing.assert_array_equal(made, images)
        np.testing.assert_allclose(mixed, labels, atol=1e-6)


def test_it_wraps_a_layer_that_needs_maps_itself():
    images, labels = levels(n=5, side=14)
    inner = augment.get("attentive_cutmix", cells=2)
    layer = augment.get("keep_augment", inner=inner, length=0.0)
    maps = planted(5, 7, [(0, 0), (6, 6)])
    made, _ = layer(images, labels, seed(), maps)
    partner = partners(5, tf.random.fold_in(tf.random.fold_in(seed(), 1), 0)).numpy()
    np.testing.assert_array_equal(shown_class(made)[:, 0, 0], partner)


def test_statistics_are_saved_and_options_reach_the_wrapped_layer():
    layer = augment.get("keep_augment", inner="hide_and_seek", hide=0.9, length=0.25)
    layer.set_statistic("mean_colour", [10.0, 20.0, 30.0])
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert copy.missing_statistics == () and copy.wrapped.hide == 0.9
    assert copy.wrapped.fill == (10.0, 20.0, 30.0)


@pytest.mark.parametrize("inner", ["cutout:size=0.5", "cutmix:alpha=1.0", augment.get("cutout")])
def test_a_selective_cut_has_no_options_of_its_own(inner):
    with pytest.raises(ValueError, match="in place of Cutout and CutMix"):
        augment.get("keep_augment", inner=inner)
    with pytest.raises(ValueError, match="keep_augment has no option size"):
        augment.get("keep_augment", inner="cutout", size=0.5)
