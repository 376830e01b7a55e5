"""Score-CAM and Faster Score-CAM against a loop in NumPy and against tf-keras-vis."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from proxy_keras.attribution import Explainer
from proxy_keras.attribution.split_network import CompiledNetwork
from proxy_keras.heatmaps import scaling


def scaled(maps, axis=(1, 2)):
    low = maps.min(axis=axis, keepdims=True)
    span = maps.max(axis=axis, keepdims=True) - low
    return (maps - low) / np.where(span == 0, 1, span)


def score_cam_in_numpy(model, images, weights, channels=None):
    """By definition, one masked image at a time; `weights` [B, K] of the probabilities."""
    activations = np.asarray(keras.Model(model.input, model.get_layer("relu").output)(images))
    maps = []
    for image, activation, weight in zip(images, activations, weights, strict=True):
        count = activation.shape[-1] if channels is None else channels
        order = np.argsort(-activation.std(axis=(0, 1)))[:count]
        heat = 0.0
        for channel in order:
            mask = scaling.enlarge(activation[None, ..., channel], image.shape[:2]).numpy()
            masked = image * scaled(mask)[0, ..., None]
            probabilities = np.asarray(ops.softmax(model(masked[None], training=False)))[0]
            heat = heat + (probabilities * weight).sum() * activation[..., channel]
        maps.append(np.maximum(heat, 0))
    return scaled(np.stack(maps))


def one_hot(ids, classes=4):
    return np.eye(classes)[ids]


@pytest.mark.parametrize("chunk_size", [1, 5, 12, 1000])
def test_score_cam_matches_its_definition_for_any_chunk_size(build_cnn, images, chunk_size):
    model = build_cnn()
    predicted = np.asarray(model(images, training=False)).argmax(axis=1)
    expected = score_cam_in_numpy(model, images, one_hot(predicted))
    got = Explainer(model, "score_cam", chunk_size=chunk_size).heatmaps(images)
    np.testing.assert_allclose(got, expected, atol=1e-4)


@pytest.mark.parametrize("channels", [1, 3, 12, 99])
def test_faster_score_cam_uses_the_channels_with_the_largest_deviation(build_cnn, images, channels):
    model = build_cnn()
    predicted = np.asarray(model(images, training=False)).argmax(axis=1)
    expected = score_cam_in_numpy(model, images, one_hot(predicted), min(channels, 12))
    got = Explainer(model, "faster_score_cam", channels=channels).heatmaps(images)
    np.testing.assert_allclose(got, expected, atol=1e-4)


def test_contrast_weighs_by_the_difference_of_two_probabilities(build_cnn, images):
    model = build_cnn()
    predicted = np.asarray(model(images, training=False)).argmax(axis=1)
    true = (predicted + np.arange(7) % 2) % 4
    weights = one_hot(predicted) - one_hot(true) * (predicted != true)[:, None]
    got = Explainer(model, "score_cam", explain="contrast").heatmaps(images, true)
    np.testing.assert_allclose(got, score_cam_in_numpy(model, images, weights), atol=1e-4)


@pytest.mark.parametrize(
    ("method", "options"),
    [("score_cam", {}), ("faster_score_cam", {"channels": 5})],
)
def test_agrees_with_tf_keras_vis_if_no_mask_is_enlarged(build_cnn, images, method, options):
    model = build_cnn(strides=1)
    labels = np.arange(7) % 4
    for explain in ("predicted", "true"):
        ours = Explainer(model, method, explain=explain, **options)
        theirs = Explainer(model, method, explain=explain, engine="tf-keras-vis", **options)
        assert ours.map_shape == (16, 16)
        np.testing.assert_allclose(
            ours.heatmaps(images, labels), theirs.heatmaps(images, labels), atol=1e-4
        )


def test_channels_of_zeros_are_not_scored(build_cnn, images, monkeypatch):
    model = build_cnn()
    bn = model.get_layer("bn")
    bn.gamma.assign(np.where(np.arange(12) % 3 == 0, 1.0, 0.0))
    predicted = np.asarray(model(images, training=False)).argmax(axis=1)
    expected = score_cam_in_numpy(model, images, one_hot(predicted))
    scored = []
    plain = CompiledNetwork.logits

    def counted(self, masked):
        scored.append(masked.shape[0])
        return plain(self, masked)

    monkeypatch.setattr(CompiledNetwork, "logits", counted)
    got = Explainer(model, "score_cam").heatmaps(images)
    np.testing.assert_allclose(got, expected, atol=1e-4)
    assert sum(scored) == 7 * 4


def test_softmax_is_applied_once(build_cnn, images):
    model = build_cnn()
    probabilities = keras.Model(model.input, layers.Softmax()(model.output))
    np.testing.assert_allclose(
        Explainer(probabilities, "score_cam").heatmaps(images),
        Explainer(model, "score_cam").heatmaps(images),
        atol=1e-6,
    )


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("score_cam", {"chunk_size": 0}),
        ("faster_score_cam", {"channels": 0}),
        ("faster_score_cam", {"chunk_size": -1}),
    ],
)
def test_options_outside_their_range_are_refused(build_cnn, method, options):
    with pytest.raises(ValueError, match="must be >= 1. Received"):
        Explainer(build_cnn(), method, **options)
