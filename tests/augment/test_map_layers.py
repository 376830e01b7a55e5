"""Properties of all augmentations that need heatmaps."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from proxy_keras import augment
from tests.augment.map_batches import coloured, seed

ROWS = {
    "attentive_cutmix": {"grid": 4, "cells": 5},
    "attribute_mix": {},
    "cam_paste": {},
    "comixup": {"members": 4},
    "keep_augment": {"inner": "mixup"},
    "puzzlemix": {"blocks": (2, 4)},
    "saliencymix": {},
    "snapmix": {},
}
MAPS = tf.constant(np.random.default_rng(1).random((6, 4, 4)).astype(np.float32) ** 2)
rows = pytest.mark.parametrize("name", ROWS)


def layer(name, **options):
    return augment.get(name, **ROWS[name], **options)


@rows
def test_images_keep_dtype_and_range_and_labels_sum_to_1(name):
    images, labels = coloured()
    made, mixed = layer(name)(images, labels, seed(), MAPS)
    assert made.shape == images.shape and made.dtype == tf.float32 == mixed.dtype
    assert made.numpy().min() >= 0.0 and made.numpy().max() <= 255.0
    assert not np.array_equal(made, images)
    if name != "snapmix":  # see its own tests
        np.testing.assert_allclose(mixed.numpy().sum(axis=1), 1.0, atol=1e-5)


@rows
def test_results_depend_on_seed_and_inputs_alone_in_graphs_too(name):
    images, labels = coloured()
    one = layer(name)
    data = tf.data.Dataset.from_tensor_slices((images, labels, MAPS)).batch(5)
    data = data.map(lambda x, y, m: one(x, y, seed(), m), num_parallel_calls=2)
    last = None
    for (made, mixed), part in zip(data, (slice(0, 5), slice(5, 6)), strict=True):
        want = layer(name)(images[part], labels[part], seed(), MAPS[part])
        np.testing.assert_allclose(made, want[0], atol=1e-3)
        np.testing.assert_allclose(mixed, want[1], atol=1e-5)
        last = made
    assert last.shape[0] == 1
    other = one(images, labels, seed(2), MAPS)[0]
    assert not np.array_equal(one(images, labels, seed(), MAPS)[0], other)


@rows
def test_it_is_rebuilt_from_its_configuration(name):
    images, labels = coloured()
    one = layer(name, seed=3, probability=0.9)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(one))
    assert again.get_config() == one.get_config()
    for a, b in zip(
        one(images, labels, seed(), MAPS), again(images, labels, seed(), MAPS), strict=True
    ):
        np.testing.assert_array_equal(a, b)


@rows
def test_nothing_changes_at_probability_0(name):
    images, labels = coloured()
    made, mixed = layer(name, probability=0.0)(images, labels, seed(), MAPS)
    np.testing.assert_array_equal(made, images)
    np.testing.assert_array_equal(mixed, labels)


@rows
def test_blank_maps_give_finite_results(name):
    images, labels = coloured()
    made, mixed = layer(name)(images, labels, seed(), tf.zeros([6, 1, 1]))
    assert np.isfinite(made.numpy()).all() and np.isfinite(mixed.numpy()).all()


@rows
def test_missing_maps_are_refused(name):
    images, labels = coloured()
    with pytest.raises(ValueError, match="needs `heatmaps`"):
        layer(name)(images, labels, seed())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("attentive_cutmix:cells=50", r"`cells` must be in \[0, 49\]. Received: 50"),
        ("attentive_cutmix:grid=0", "`grid` must be a whole number >= 1"),
        ("attribute_mix:attributes=0", "`attributes` must be a whole number >= 1"),
        ("attribute_mix:size=0", r"`size` must be in \(0, 1\]"),
        ("cam_paste:threshold=0", r"`threshold` must be in \(0, 1\]"),
        ("cam_paste:scale_from=2", "`scale_to` must be a number >= 2. Received: 1.0"),
        ("comixup:members=0", "`members` must be a whole number >= 1"),
        ("comixup:gamma=-1", "`gamma` must be a number >= 0"),
        ("keep_augment:length=2", r"`length` must be in \[0, 1\]"),
        ("keep_augment:inner=cutmux", "no augmentation 'cutmux'"),
        ("puzzlemix:gamma=2", "`gamma` must be <= 1"),
        ("puzzlemix:blocks=(1,)", "`blocks` must be a whole number >= 2"),
        ("puzzlemix:levels=0", "`levels` must be a whole number >= 1"),
        ("saliencymix:saliency=eye", "one of network, image. Received: 'eye'"),
        ("snapmix:alpha=0", "`alpha` must be > 0"),
    ],
)
def test_options_out_of_range_are_refused(text, message):
    with pytest.raises(ValueError, match=message):
        augment.parse(text)
