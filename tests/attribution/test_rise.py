"""RISE: its masks, its sum, and recovery of linear models."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from proxy_keras.attribution import Explainer
from proxy_keras.attribution.rise import RISE
from proxy_keras.attribution.split_network import Network
from proxy_keras.attribution.target import Score
from proxy_keras.graph import FlatClone
from proxy_keras.heatmaps import scaling


def scaled(maps):
    low = maps.min(axis=(1, 2), keepdims=True)
    span = maps.max(axis=(1, 2), keepdims=True) - low
    return (maps - low) / np.where(span == 0, 1, span)


def linear_model(weights):
    image = keras.Input((*weights.shape, 1))
    top = layers.Dense(2, use_bias=False)
    model = keras.Model(image, top(layers.Flatten()(image)))
    top.kernel.assign(np.stack([weights.ravel(), np.zeros(weights.size)], axis=1))
    return model


def first(logits):
    return logits[:, 0]


def test_masks_are_enlarged_grids_shifted_by_less_than_a_cell():
    even = RISE(cells=8, probability=0.3, masks=4000).draw_masks(16, 16)(tf.range(4000)).numpy()
    np.testing.assert_allclose(even.mean(axis=0), 0.3, atol=0.03)
    assert abs(np.corrcoef(even[:, 0, 0], even[:, 0, 8])[0, 1]) < 0.05
    coarse = RISE(cells=2, masks=3000).draw_masks(9, 12)(tf.range(3000)).numpy()
    assert coarse.shape == (3000, 9, 12)
    assert coarse.min() >= 0
    assert coarse.max() <= 1
    # With shifts, every pixel has the same probability of being shown.
    np.testing.assert_allclose(coarse.mean(axis=0), 0.5, atol=0.04)
    whole = scaling.enlarge(tf.constant([[[0.0, 1.0], [1.0, 0.0]]]), (15, 18)).numpy()[0]
    windows = [
        sign + (1 - 2 * sign) * whole[row : row + 9, column : column + 12]
        for row in range(5)
        for column in range(6)
        for sign in (0, 1)
    ]
    diagonal = [m for m in coarse[:300] if any(np.allclose(m, w, atol=1e-6) for w in windows)]
    assert len(diagonal) > 15


def test_masks_depend_on_the_seed_but_not_on_the_chunk():
    draw = RISE(seed=3, masks=20).draw_masks(10, 10)
    whole = draw(tf.range(20)).numpy()
    np.testing.assert_array_equal(draw(tf.constant([7, 2])).numpy(), whole[[7, 2]])
    np.testing.assert_array_equal(RISE(seed=3, masks=20).draw_masks(10, 10)(tf.range(20)), whole)
    assert np.abs(RISE(seed=4, masks=20).draw_masks(10, 10)(tf.range(20)) - whole).max() > 0.5


@pytest.mark.parametrize("chunk_size", [7, 1000])
def test_it_is_the_mean_mask_weighted_by_the_probability(build_cnn, images, chunk_size):
    model = build_cnn()
    masks = RISE(cells=3, masks=40, seed=5).draw_masks(16, 16)(tf.range(40)).numpy()
    ids = np.arange(7) % 4
    expected = []
    for image, label in zip(images, ids, strict=True):
        mean = image.mean(axis=(0, 1))
        copies = mean + masks[..., np.newaxis] * (image - mean)
        values = np.asarray(ops.softmax(model(copies, training=False)))[:, label]
        expected.append(np.einsum("n,nhw->hw", values - values.mean(), masks) / (40 * 0.5))
    got = Explainer(
        model, "rise", explain="true", cells=3, masks=40, seed=5, chunk_size=chunk_size
    ).heatmaps(images, ids)
    np.testing.assert_allclose(got, scaled(np.stack(expected)), atol=1e-3)


@pytest.mark.parametrize("is_multi_label", [False, True])
def test_probabilities_are_those_of_the_classifier(build_cnn, images, is_multi_label):
    base = build_cnn()
    end = layers.Activation("sigmoid" if is_multi_label else "softmax")
    model = keras.Model(base.input, end(base.output))
    masks = RISE(cells=3, masks=40, seed=5).draw_masks(16, 16)(tf.range(40)).numpy()
    image, mean = images[0], images[0].mean(axis=(0, 1))
    copies = mean + masks[..., np.newaxis] * (image - mean)
    values = model.predict(copies, verbose=0)[:, 2]
    expected = np.einsum("n,nhw->hw", values - values.mean(), masks)
    got = Explainer(model, "rise", explain="true", cells=3, masks=40, seed=5).heatmaps(
        images[:1], [2]
    )
    np.testing.assert_allclose(got, scaled(expected[np.newaxis]), atol=1e-3)


def test_it_recovers_a_linear_model():
    place = np.arange(16)
    bumps = [np.exp(-np.square(place - at) / 8) for at in (4, 10)]
    weights = np.outer(bumps[0], bumps[1]) - 0.5 * np.outer(bumps[1], bumps[0])
    explainer = Explainer(linear_model(weights), "rise", explain=first, baseline="black")
    heat = explainer.heatmaps(np.ones((1, 16, 16, 1), np.float32))[0]
    assert np.corrcoef(heat.ravel(), weights.ravel())[0, 1] > 0.9
    assert np.unravel_index(heat.argmax(), heat.shape) == (4, 10)


def test_a_linear_model_gives_the_masks_covariance_times_its_weights():
    weights = np.array([[3.0, 1.0], [0.0, -2.0]])
    method = RISE(cells=2, probability=0.3, masks=4000, baseline="black")
    network = Network(FlatClone(linear_model(weights)), None).compiled
    heat = method(network, tf.ones([1, 2, 2, 1]), lambda _: Score(first))[1].numpy().ravel()
    # The same masks, and others.
    for seed, atol in ((0, 1e-4), (1, 0.1)):
        masks = RISE(cells=2, probability=0.3, masks=4000, seed=seed).draw_masks(2, 2)(
            tf.range(4000)
        )
        covariance = np.cov(masks.numpy().reshape(4000, 4), rowvar=False, bias=True)
        expected = covariance @ weights.ravel() / 0.3
        np.testing.assert_allclose(heat, expected - expected.min(), atol=atol)


def test_an_image_that_no_mask_changes_is_blank(build_cnn):
    images = np.full((2, 16, 16, 3), 99.0, np.float32)
    assert not Explainer(build_cnn(), "rise", masks=50).heatmaps(images).any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cells": 0}, "`cells` must be >= 1"),
        ({"probability": 0.0}, r"`probability` must be in \(0, 1\)"),
        ({"probability": 1.0}, r"`probability` must be in \(0, 1\)"),
        ({"masks": 1}, "`masks` must be >= 2. Received: 1"),
        ({"chunk_size": 0}, "`chunk_size` must be >= 1"),
    ],
)
def test_options_outside_their_range_are_refused(build_cnn, options, message):
    with pytest.raises(ValueError, match=message):
        Explainer(build_cnn(), "rise", **options)
