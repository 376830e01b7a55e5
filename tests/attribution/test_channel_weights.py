"""Layer-Score-CAM and Ablation-CAM against loops in NumPy, with linear and other heads."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from proxy_keras.attribution import Explainer


def scaled(maps, axis=(1, 2)):
    low = maps.min(axis=axis, keepdims=True)
    span = maps.max(axis=axis, keepdims=True) - low
    return (maps - low) / np.where(span == 0, 1, span)


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


@pytest.fixture(params=["linear", "general", "with a branch"])
def model(request, build_cnn):
    """A model whose head is linear, nonlinear, or has an input from before the target layer."""
    if request.param == "linear":
        model = build_cnn()
        model.get_layer("top").bias.assign([0.3, -0.6, 0.9, 0.0])
        return model
    image = keras.Input((16, 16, 3))
    x = layers.Rescaling(1 / 64)(image)
    x = layers.Conv2D(12, 3, strides=2, activation="relu", padding="same", name="first")(x)
    last = layers.Conv2D(12, 3, activation="relu", padding="same", name="relu")(x)
    if request.param == "with a branch":
        last = layers.Add()([last, x])
    last = layers.GlobalAveragePooling2D()(last)
    last = layers.Dense(6, activation="tanh")(last)
    return keras.Model(image, layers.Dense(4)(last))


def halves(model):
    """Image -> (activations, branch), and (activations, branch) -> logits, as NumPy functions."""
    branch = "first" if any(layer.name == "first" for layer in model.layers) else "relu"
    outputs = [model.get_layer("relu").output, model.get_layer(branch).output]
    features = keras.Model(model.input, outputs)

    def head(activations, rest):
        x = activations
        for layer in model.layers[[part.name for part in model.layers].index("relu") + 1 :]:
            x = layer([x, rest]) if isinstance(layer, layers.Add) else layer(x)
        return np.asarray(x)

    return lambda images: [np.asarray(part) for part in features(images)], head


def in_numpy(model, images, change, weigh, ids):
    features, head = halves(model)
    maps = []
    for image, label in zip(images, ids, strict=True):
        activations, rest = features(image[np.newaxis])
        before = head(activations, rest)
        heat = 0.0
        for channel in range(activations.shape[-1]):
            after = head(change(activations, channel), rest)
            heat = heat + weigh(before[0], after[0], label) * activations[0, ..., channel]
        maps.append(np.maximum(heat, 0))
    return scaled(np.stack(maps))


def masked(activations, channel):
    return activations * scaled(activations[..., channel])[..., np.newaxis]


def ablated(activations, channel):
    result = activations.copy()
    result[..., channel] = 0
    return result


DEFINITIONS = {
    "layer_score_cam": (masked, lambda before, after, label: softmax(after)[label]),
    "ablation_cam": (ablated, lambda before, after, label: before[label] - after[label]),
}


@pytest.mark.parametrize("chunk_size", [1, 5, 1000])
@pytest.mark.parametrize("method", DEFINITIONS)
def test_it_matches_its_definition_for_any_chunk_size(model, images, method, chunk_size):
    ids = np.arange(7) % 4
    expected = in_numpy(model, images, *DEFINITIONS[method], ids)
    explainer = Explainer(model, method, explain="true", target_layer="relu", chunk_size=chunk_size)
    np.testing.assert_allclose(explainer.heatmaps(images, ids), expected, atol=1e-4)


def test_ablation_equals_the_paper_for_positive_scores(build_cnn, images):
    model = build_cnn()
    model.get_layer("top").bias.assign(np.full(4, 5.0))

    def weigh(before, after, label):
        assert before[label] > 0
        return (before[label] - after[label]) / before[label]

    ids = np.arange(7) % 4
    got = Explainer(model, "ablation_cam", explain="true").heatmaps(images, ids)
    np.testing.assert_allclose(got, in_numpy(model, images, ablated, weigh, ids), atol=1e-4)


def test_ablation_is_not_inverted_for_negative_or_zero_scores(build_cnn, images):
    model = build_cnn()
    maps = []
    for bias in (0.0, -5.0):
        model.get_layer("top").bias.assign(np.full(4, bias))
        explainer = Explainer(model, "ablation_cam", explain="true")
        maps.append(explainer.heatmaps(images, np.zeros(7, int)))
    np.testing.assert_allclose(*maps, atol=1e-4)


def test_ablation_is_slope_times_mean_for_a_linear_head(build_cnn, images):
    # The drop of a linear score is its slope times the channel's mean.
    model = build_cnn()
    activations = np.asarray(keras.Model(model.input, model.get_layer("relu").output)(images))
    rows = model.get_layer("top").get_weights()[0].T[np.asarray(model(images)).argmax(axis=1)]
    weights = rows * activations.mean(axis=(1, 2))
    expected = scaled(np.maximum(np.einsum("bhwd,bd->bhw", activations, weights), 0))
    np.testing.assert_allclose(
        Explainer(model, "ablation_cam").heatmaps(images), expected, atol=1e-4
    )


@pytest.mark.parametrize("method", DEFINITIONS)
def test_a_users_score_is_called_for_each_perturbation(model, images, method):
    def score(logits):
        return ops.tanh(logits[:, 0]) * logits[:, 1]

    change, _ = DEFINITIONS[method]

    def weigh(before, after, _):
        values = [np.tanh(logits[0]) * logits[1] for logits in (before, after)]
        return values[1] if method == "layer_score_cam" else values[0] - values[1]

    expected = in_numpy(model, images, change, weigh, np.zeros(7, int))
    got = Explainer(model, method, explain=score, target_layer="relu").heatmaps(images)
    np.testing.assert_allclose(got, expected, atol=1e-4)


@pytest.mark.parametrize("method", DEFINITIONS)
def test_many_classes_are_answered_a_few_images_at_a_time(build_cnn, images, method):
    model = build_cnn(classes=30)
    ids = np.arange(7) * 3
    maps = [
        Explainer(model, method, explain="true", chunk_size=size).heatmaps(images, ids)
        for size in (1, 1000)
    ]
    np.testing.assert_allclose(*maps, atol=1e-5)


@pytest.mark.parametrize("method", DEFINITIONS)
def test_chunk_size_is_checked(build_cnn, method):
    with pytest.raises(ValueError, match="`chunk_size` must be >= 1. Received: 0"):
        Explainer(build_cnn(), method, chunk_size=0)
