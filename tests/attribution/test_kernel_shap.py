"""Kernel SHAP against Shapley values by enumeration."""

import itertools
import math
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers, ops

from proxy_keras.attribution import Explainer
from proxy_keras.attribution.superpixels import superpixels


def shapley_values(value, count):
    """By definition: the mean over all orders of what each player adds to `value`."""
    values = {
        coalition: value(coalition)
        for size in range(count + 1)
        for coalition in itertools.combinations(range(count), size)
    }
    result = np.zeros(count)
    for player in range(count):
        rest = [other for other in range(count) if other != player]
        for size in range(count):
            share = math.factorial(size) * math.factorial(count - size - 1) / math.factorial(count)
            for coalition in itertools.combinations(rest, size):
                joined = tuple(sorted((*coalition, player)))
                result[player] += share * (values[joined] - values[coalition])
    return result


def test_six_superpixels_get_their_exact_shapley_values(build_cnn, images):
    model = build_cnn()
    ids = np.arange(3)
    explainer = Explainer(
        model, "kernel_shap", explain="true", superpixels=6, segmentation="grid", chunk_size=7
    )
    got = explainer.attributions(images[:3], ids)[..., 0]
    for image, label, weights in zip(images[:3], ids, got, strict=True):
        labels = superpixels(image[np.newaxis], 6, "grid")[0]

        def value(coalition, image=image, label=label, labels=labels):
            shown = np.isin(labels, coalition)[..., np.newaxis]
            copy = np.where(shown, image, image.mean(axis=(0, 1)))
            return np.asarray(ops.softmax(model(copy[np.newaxis], training=False)))[0, label]

        expected = shapley_values(value, 6)
        assert np.abs(expected).max() > 1e-4
        painted = [np.unique(weights[labels == part]) for part in range(6)]
        np.testing.assert_allclose(np.concatenate(painted), expected, atol=1e-6)


def test_values_sum_to_the_difference_from_the_baseline(build_cnn, images):
    model = build_cnn()
    explainer = Explainer(model, "kernel_shap", superpixels=12, samples=60, baseline="black")
    weights = explainer.attributions(images)[..., 0]
    whole = np.asarray(ops.softmax(model(images, training=False)))
    empty = np.asarray(ops.softmax(model(np.zeros_like(images), training=False)))
    classes = whole.argmax(axis=1)
    for i, labels in enumerate(superpixels(images, 12, "slic")):
        first = [np.flatnonzero(labels == part)[0] for part in range(labels.max() + 1)]
        total = weights[i].ravel()[first].sum()
        np.testing.assert_allclose(total, whole[i, classes[i]] - empty[i, classes[i]], atol=1e-5)


def test_a_linear_model_gives_its_effects_from_a_sample_of_coalitions():
    weights = np.random.default_rng(0).normal(size=(8, 10))
    image = keras.Input((8, 10, 1))
    top = layers.Dense(2, use_bias=False)
    model = keras.Model(image, top(layers.Flatten()(image)))
    top.kernel.assign(np.stack([weights.ravel(), np.zeros(80)], axis=1))
    explainer = Explainer(
        model,
        "kernel_shap",
        explain=lambda logits: logits[:, 0],
        superpixels=20,
        segmentation="grid",
        samples=200,
        baseline="black",
    )
    got = explainer.attributions(np.ones((1, 8, 10, 1), np.float32))[0, ::2, ::2, 0]
    np.testing.assert_allclose(got, weights.reshape(4, 2, 5, 2).sum(axis=(1, 3)), atol=1e-4)


def test_numpys_random_state_is_left_as_it_was_and_does_not_matter(build_cnn, images):
    explainer = Explainer(build_cnn(), "kernel_shap", superpixels=16, samples=64)
    np.random.seed(1)
    state = np.random.get_state()[1].copy()
    first = explainer.attributions(images[:2])
    np.testing.assert_array_equal(np.random.get_state()[1], state)
    np.random.seed(2)
    np.testing.assert_array_equal(explainer.attributions(images[:2]), first)
    other = Explainer(build_cnn(), "kernel_shap", superpixels=16, samples=64, seed=1)
    assert np.abs(other.attributions(images[:2]) - first).max() > 0


def test_one_superpixel_has_all_of_the_effect(build_cnn, images):
    model = build_cnn()
    explainer = Explainer(model, "kernel_shap", superpixels=1, segmentation="grid")
    weights = explainer.attributions(images[:1])
    whole, mean = (
        np.asarray(ops.softmax(model(batch, training=False)))[0]
        for batch in (images[:1], np.broadcast_to(images[:1].mean(axis=(1, 2)), (1, 16, 16, 3)))
    )
    expected = whole.max() - mean[whole.argmax()]
    np.testing.assert_allclose(weights, np.full((1, 16, 16, 1), expected), atol=1e-6)
    assert not explainer.heatmaps(images[:1]).any()


@pytest.mark.slow
def test_shap_and_lime_are_imported_when_they_are_used():
    code = (
        "import sys, proxy_keras; "
        "print([name for name in ('shap', 'lime', 'skimage') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_too_few_samples_are_refused(build_cnn):
    with pytest.raises(ValueError, match="`samples` must be >= 2 \\* superpixels.*samples=10"):
        Explainer(build_cnn(), "kernel_shap", superpixels=6, samples=10)
