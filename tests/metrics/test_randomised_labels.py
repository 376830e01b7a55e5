"""Label randomisation: twins compared, and the training of one."""

import keras
import numpy as np
import pytest

from proxy_keras.attribution import explain
from proxy_keras.metrics import (
    ClassExplainer,
    compare,
    label_randomisation,
    train_on_permuted_labels,
)


def test_it_compares_the_maps_of_the_same_classes(build_cnn, images):
    model, twin = build_cnn(0), build_cnn(1)
    ids = model.predict(images, verbose=0).argmax(axis=1)
    expected = compare(
        explain(model, images, "grad_cam", class_ids=ids),
        explain(twin, images, "grad_cam", class_ids=ids),
    )
    for method in ("grad_cam", ClassExplainer(model, "grad_cam")):
        result = label_randomisation(model, twin, images, method)
        np.testing.assert_allclose(result.spearman, expected.spearman, atol=1e-4)
        np.testing.assert_allclose(result.ssim, expected.ssim, atol=1e-4)
    other = label_randomisation(model, twin, images, "grad_cam", class_ids=(ids + 1) % 3)
    assert np.abs(other.spearman - result.spearman).max() > 1e-3


def test_equal_twins_and_ignorant_methods_are_alike(build_cnn, images):
    same = label_randomisation(build_cnn(0), build_cnn(0), images, options={"smooth": 0.5})
    np.testing.assert_allclose(same.spearman, 1)
    ignorant = label_randomisation(build_cnn(0), build_cnn(1), images, "brightness")
    np.testing.assert_allclose(ignorant.spearman, 1)


@pytest.mark.parametrize("one_hot", [False, True])
def test_training_gets_the_same_labels_in_another_order(build_cnn, images, monkeypatch, one_hot):
    images, labels = np.tile(images, (8, 1, 1, 1)), np.arange(40) % 3
    given = np.eye(3)[labels] if one_hot else labels
    seen = []
    monkeypatch.setattr(
        keras.Model, "fit", lambda self, x, y, **options: seen.append((x, y, options))
    )

    def build():
        model = build_cnn()
        model.compile(loss="mse")
        return model

    assert isinstance(train_on_permuted_labels(build, images, given, epochs=2), keras.Model)
    train_on_permuted_labels(build, images, given, seed=1)
    (x, y, options), (_, other, _) = seen
    np.testing.assert_array_equal(x, images)
    assert options == {"epochs": 2}
    np.testing.assert_array_equal(np.sort(y, axis=0), np.sort(given, axis=0))
    assert (y != given).any() and (y != other).any()
    np.testing.assert_array_equal(labels, np.arange(40) % 3)


def test_the_twin_learns_the_permuted_labels(images):
    labels = np.array([0, 1, 2, 0, 1])

    def build():
        layers = keras.layers.Rescaling(1 / 255), keras.layers.Flatten(), keras.layers.Dense(3)
        model = keras.Sequential([keras.Input(images.shape[1:]), *layers])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.Adam(0.01), loss)
        return model

    twin = train_on_permuted_labels(build, images, labels, epochs=30, verbose=0)
    permuted = labels[np.random.default_rng(0).permutation(5)]
    assert (permuted != labels).any()
    np.testing.assert_array_equal(twin.predict(images, verbose=0).argmax(axis=1), permuted)


def test_wrong_arguments_are_refused(build_cnn, images):
    with pytest.raises(ValueError, match="one label per image"):
        train_on_permuted_labels(build_cnn, images, [0])
    with pytest.raises(ValueError, match="must return a compiled model"):
        train_on_permuted_labels(build_cnn, images, np.zeros(5, int))
