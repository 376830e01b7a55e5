"""Occlusion against values computed by hand and a loop in NumPy."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from proxy_keras.attribution import Explainer


def scaled(maps):
    low = maps.min(axis=(1, 2), keepdims=True)
    span = maps.max(axis=(1, 2), keepdims=True) - low
    return (maps - low) / np.where(span == 0, 1, span)


def first(logits):
    return logits[:, 0]


@pytest.fixture
def build_linear():
    """Return a function that builds a model whose first logit is a weighted sum of pixels."""

    def build(weights):
        weights = np.asarray(weights, np.float32)
        image = keras.Input((*weights.shape, 1))
        top = layers.Dense(2, use_bias=False)
        model = keras.Model(image, top(layers.Flatten()(image)))
        top.kernel.assign(np.stack([weights.ravel(), np.zeros(weights.size)], axis=1))
        return model

    return build


def test_by_hand(build_linear):
    model = build_linear([[1, 2, 0], [0, -3, 0]])
    image = np.array([[[1.0, 2.0, 3.0], [4.0, 1.0, 0.0]]], np.float32)[..., np.newaxis]
    explainer = Explainer(model, "occlusion", explain=first, patch=2, stride=1, baseline="black")
    # Patches over columns 0-1 and 1-2 remove 1*1 + 2*2 - 3*1 = 2, and 2*2 - 3*1 = 1.
    expected = np.array([[[2, 1.5, 1], [2, 1.5, 1]]])
    np.testing.assert_allclose(explainer.attributions(image)[..., 0], expected, atol=1e-6)
    np.testing.assert_allclose(explainer.heatmaps(image), expected - 1, atol=1e-6)


def test_negative_evidence_is_negative_and_not_hot(build_linear):
    model = build_linear([[1, 0], [0, -3]])
    explainer = Explainer(model, "occlusion", explain=first, patch=1, baseline="black")
    images = np.ones((1, 2, 2, 1), np.float32)
    np.testing.assert_allclose(explainer.attributions(images)[0, ..., 0], [[1, 0], [0, -3]])
    np.testing.assert_allclose(explainer.heatmaps(images), [[[1, 0], [0, 0]]])


def test_baselines_are_in_the_value_range(build_linear):
    model = build_linear([[1, 1], [1, 1]])
    images = np.array([[[[0.5], [0.25]], [[0.0], [0.25]]]], np.float32)
    for baseline, fill in (("black", -1.0), ("white", 1.0), ("mean", 0.25)):
        explainer = Explainer(
            model,
            "occlusion",
            explain=first,
            patch=1,
            baseline=baseline,
            value_range=(-1.0, 1.0),
        )
        np.testing.assert_allclose(explainer.attributions(images), images - fill, atol=1e-6)


def occlusion_in_numpy(model, images, patch, starts, ids):
    def probabilities(batch):
        return np.asarray(ops.softmax(model(batch, training=False)))

    maps = []
    for image, label in zip(images, ids, strict=True):
        places = [
            (slice(row, row + patch), slice(column, column + patch))
            for row in starts
            for column in starts
        ]
        copies = np.stack([image] * (1 + len(places)))
        for copy, place in zip(copies[1:], places, strict=True):
            copy[place] = image.mean(axis=(0, 1))
        whole, *left = probabilities(copies)[:, label]
        total, covers = np.zeros(image.shape[:2]), np.zeros(image.shape[:2])
        for place, value in zip(places, left, strict=True):
            total[place] += whole - value
            covers[place] += 1
        maps.append(total / covers)
    return np.stack(maps)


@pytest.mark.parametrize("chunk_size", [5, 1000])
@pytest.mark.parametrize(
    ("options", "patch", "starts"),
    [
        ({}, 4, [0, 2, 4, 6, 8, 10, 12]),
        ({"patch": 5, "stride": 4}, 5, [0, 4, 8, 11]),
        ({"patch": 0.5, "stride": 0.25}, 8, [0, 4, 8]),
        ({"patch": 99}, 16, [0]),
    ],
)
def test_it_matches_its_definition_for_any_chunk_size(
    build_cnn, images, options, patch, starts, chunk_size
):
    model = build_cnn()
    ids = np.arange(7) % 4
    expected = occlusion_in_numpy(model, images, patch, starts, ids)
    explainer = Explainer(model, "occlusion", explain="true", chunk_size=chunk_size, **options)
    np.testing.assert_allclose(explainer.attributions(images, ids)[..., 0], expected, atol=1e-5)
    np.testing.assert_allclose(
        explainer.heatmaps(images, ids), scaled(np.maximum(expected, 0)), atol=1e-3
    )


@pytest.mark.parametrize("mode", ["predicted", "contrast"])
@pytest.mark.parametrize("bias", [0.0, 20.0, 1e4])
def test_rounding_is_not_blown_up_to_a_heatmap(build_cnn, images, mode, bias):
    model = build_cnn()
    # Two equal logits, so probabilities are equal for every image, except for rounding.
    model.get_layer("top").set_weights([np.full((12, 4), 0.7), np.array([bias, bias, 0, 0])])
    heat = Explainer(model, "occlusion", explain=mode).heatmaps(images, np.ones(7, int))
    assert not heat.any()


def test_small_drops_of_a_sure_network_are_not_taken_for_rounding(build_linear):
    # Two of the pixels contribute less than 1e-6 each to a probability of 1 - 1.5e-6.
    model = build_linear([[0.5, 0.4], [0.0, 12.5]])
    images = np.ones((1, 2, 2, 1), np.float32)
    explainer = Explainer(model, "occlusion", patch=1, baseline="black")
    got = explainer.attributions(images)[0, ..., 0]
    logits = 13.4 - np.array([[0.5, 0.4], [0.0, 12.5]])
    sigmoid = 1 / (1 + np.exp(-logits))
    np.testing.assert_allclose(got, 1 / (1 + np.exp(-13.4)) - sigmoid, atol=2e-7)
    assert got[0].min() > 5e-7


def test_it_explains_a_transformer_and_looks_at_no_layer(build_vit):
    model = build_vit()
    images = np.random.default_rng(0).uniform(0, 1, (2, 32, 32, 3)).astype(np.float32)
    explainer = Explainer(model, "occlusion", value_range=(0.0, 1.0))
    assert explainer.target_layer is None
    heat = explainer.heatmaps(images)
    assert heat.shape == (2, 32, 32)
    assert heat.max() == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"patch": 0}, "`patch` must be a float in .* Received: 0"),
        ({"patch": 1.5}, "`patch` must be a float in"),
        ({"stride": -1}, "`stride` must be a float in"),
        ({"stride": True}, "`stride` must be a float in"),
        ({"baseline": "grey"}, "`baseline` must be one of"),
        ({"value_range": (1.0, 0.0)}, "`value_range` must be"),
        ({"chunk_size": 0}, "`chunk_size` must be >= 1"),
        ({"seed": -1}, r"`seed` must be in \[0, 2\^32\). Received: -1"),
    ],
)
def test_options_outside_their_range_are_refused(build_cnn, options, message):
    with pytest.raises(ValueError, match=message):
        Explainer(build_cnn(), "occlusion", **options)
