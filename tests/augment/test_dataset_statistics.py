"""Dataset statistics of augmentations, and how training sets them."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from proxy_keras import ImageData, augment
from proxy_keras.augment import dataset_statistics
from proxy_keras.settings import DataConfig, TrainConfig
from proxy_keras.training.fitting import augmentation


@pytest.fixture
def data() -> ImageData:
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), np.uint8)
    return ImageData.from_arrays(images, np.arange(40) % 3, progress=False)


def test_the_mean_colour_covers_all_pixels_of_the_training_split(data):
    every = np.concatenate([x.numpy() for _, x, _ in data.train.originals(7)])
    np.testing.assert_allclose(
        dataset_statistics.mean_colour(data.train), every.mean(axis=(0, 1, 2)), rtol=1e-5
    )
    counts = dataset_statistics.class_counts(data.train)
    np.testing.assert_array_equal(counts, np.bincount(data.train.labels, minlength=3))


def test_each_statistic_is_computed_once_for_the_layers_that_need_it(data, monkeypatch):
    calls = []
    monkeypatch.setattr(
        dataset_statistics,
        "mean_colour",
        lambda data, progress: calls.append(1) or np.array([1.0, 2.0, 3.0]),
    )
    layers = [
        augment.get(name, **options)
        for name, options in (
            ("hide_and_seek", {}),
            ("cutout", {"fill": 7}),
            ("curriculum", {"of": "spec_augment"}),
            ("remix", {}),
            ("cutmix", {}),
        )
    ]
    augment.adapt(layers, data.train)
    assert calls == [1]
    assert layers[0].fill == layers[2].of.fill == (1.0, 2.0, 3.0)
    assert layers[1].fill == (7.0, 7.0, 7.0)
    assert layers[3].class_counts == tuple(dataset_statistics.class_counts(data.train))


def test_until_adapted_the_mean_of_the_batch_is_used(data):
    images = tf.constant(np.random.default_rng(0).uniform(0, 255, (3, 8, 8, 3)), tf.float32)
    made, _ = augment.get("hide_and_seek", hide=1.0)(
        images, tf.eye(3), tf.constant([1, 0], tf.int64)
    )
    np.testing.assert_allclose(made[0, 0, 0], tf.reduce_mean(images, axis=[0, 1, 2]), rtol=1e-5)


def test_training_adapts_its_augmentations(data):
    config = TrainConfig(DataConfig("digits"), augment=("hide_and_seek:hide=1.0",), rotation=0.0)
    images = tf.zeros([2, 8, 8, 3])
    made, _ = augmentation(config, data.train)(images, tf.eye(2), tf.constant([1, 0], tf.int64))
    np.testing.assert_allclose(made[0, 0, 0], dataset_statistics.mean_colour(data.train), rtol=1e-6)
