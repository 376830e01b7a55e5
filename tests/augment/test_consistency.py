"""AugMix's consistency: the divergence, the views, and training on them."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon

from proxy_keras import ImageData, augment
from proxy_keras.augment import ConsistentModel, Views, jensen_shannon_loss

SEED = tf.constant([3, 0], tf.int64)
VIEWS = Views(augment.get("cutout", size=0.9, fill=0.0))


def test_the_divergence_of_two_views_is_scipys():
    logits = np.random.default_rng(0).normal(size=(2, 5, 4)).astype(np.float32)
    p = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    expected = [jensenshannon(p[0, b], p[1, b]) ** 2 for b in range(5)]
    np.testing.assert_allclose(jensen_shannon_loss(tf.constant(logits)), expected, rtol=1e-4)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 99), st.sampled_from([0.0, 1.0, 50.0]))
def test_the_divergence_is_between_0_and_log_of_the_number_of_views(number, spread):
    logits = spread * np.random.default_rng(number).normal(size=(3, 4, 5))
    loss = jensen_shannon_loss(tf.constant(logits, tf.float32)).numpy()
    assert loss.shape == (4,)
    assert np.all(loss > -1e-5) and np.all(loss < np.log(3) + 1e-5)
    if spread == 0.0:
        np.testing.assert_allclose(loss, 0.0, atol=1e-6)


def network(consistency: float | None) -> keras.Model:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 3))
    outputs = keras.layers.Dense(2)(keras.layers.Flatten()(inputs / 64.0))
    if consistency is None:
        model = keras.Model(inputs, outputs)
    else:
        model = ConsistentModel(inputs, outputs, consistency=consistency)
    model.compile(
        keras.optimizers.SGD(0.1),
        keras.losses.CategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile=False,
    )
    return model


@pytest.fixture(scope="module")
def data() -> ImageData:
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), np.uint8)
    return ImageData.from_arrays(images, np.arange(40) % 2, progress=False)


def test_views_are_the_image_and_two_augmented_ones():
    images = tf.constant(np.random.default_rng(0).uniform(0, 255, (3, 8, 8, 3)), tf.float32)
    views, labels = Views(augment.get("augmix"))(images, tf.eye(3), SEED)
    assert views.shape == (3, 3, 8, 8, 3)
    np.testing.assert_array_equal(views[:, 0], images)
    assert not np.array_equal(views[:, 1], views[:, 2])
    np.testing.assert_array_equal(labels, np.eye(3))


def test_at_weight_0_it_trains_and_reports_like_a_plain_model(data):
    views = data.train.batches(16, one_hot=True, augment=VIEWS)
    images = views.map(lambda x, y: (x[:, 0], y))
    logs, weights = [], []
    for consistency, batches in ((None, images), (0.0, views)):
        data.train.clock.begin(0)
        model = network(consistency)
        logs.append(model.fit(batches, epochs=1, shuffle=False, verbose=0).history)
        weights.append(model.get_weights())
    for plain, ours in zip(*weights, strict=True):
        np.testing.assert_allclose(plain, ours, atol=1e-6)
    assert logs[0].keys() == logs[1].keys()
    for name, values in logs[0].items():
        np.testing.assert_allclose(values, logs[1][name], rtol=1e-5)


def test_the_loss_makes_predictions_for_the_views_more_similar(data):
    images, labels = next(iter(data.val.batches(40, one_hot=True)))
    views, _ = VIEWS(images, labels, SEED)
    divergences = []
    for consistency in (0.0, 12.0):
        model = network(consistency)
        for _ in range(20):
            model.train_on_batch(views, labels)
        logits = tf.stack([model(views[:, view]) for view in range(3)])
        divergences.append(float(tf.reduce_mean(jensen_shannon_loss(logits))))
    assert divergences[1] < 0.5 * divergences[0]
    assert model.evaluate(views[:, 0], labels, verbose=0)


def test_views_refuse_layers_that_change_labels_and_pass_on_epoch():
    with pytest.raises(ValueError, match="does not change labels.* Received: CutMix"):
        Views(augment.get("cutmix"))
    with pytest.raises(ValueError, match="`count` must be a whole number >= 1"):
        Views(augment.get("augmix"), count=0)
    images, labels = tf.ones([3, 8, 8, 3]), tf.eye(3)
    late = Views(
        augment.get("curriculum", of="hide_and_seek", hide=1.0, fill=0.0, epochs=2, shape="step")
    )
    assert late.needs_epoch and not late.needs_maps
    for epoch, value in ((1, 1.0), (2, 0.0)):
        made, _ = late(images, labels, SEED, epoch=epoch)
        np.testing.assert_array_equal(made[:, 1:], np.full([3, 2, 8, 8, 3], value))
