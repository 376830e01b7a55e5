"""Parameter randomisation: which weights are drawn anew, and what the comparison says."""

import keras
import numpy as np
import pytest
from keras import layers

from proxy_keras.metrics import ClassExplainer, parameter_randomisation, weight_layers

TOP_DOWN = ("top", "conv2", "conv1")
GROUPS = {"top": ("top",), "conv2": ("conv2",), "conv1": ("conv1", "bn1")}


@pytest.fixture
def recorded(monkeypatch):
    """The weights of the explainer's copy, {layer: arrays}, at each of its heatmaps."""
    records = []
    plain = ClassExplainer.heatmaps

    def heatmaps(self, images, class_ids):
        clone = self.explainer.clone.model
        records.append({layer.name: layer.get_weights() for layer in clone.layers})
        return plain(self, images, class_ids)

    monkeypatch.setattr(ClassExplainer, "heatmaps", heatmaps)
    return records


def changed(before, after):
    """Names of the layers whose weights differ."""
    return {
        name
        for name, arrays in before.items()
        if any((one != other).any() for one, other in zip(arrays, after[name], strict=True))
    }


def test_layers_with_kernels_are_listed_from_the_logits_down(build_cnn):
    assert weight_layers(build_cnn()) == TOP_DOWN


@pytest.mark.parametrize("mode", ["cascading", "independent"])
def test_the_right_layers_are_random(build_cnn, images, recorded, mode):
    model = build_cnn()
    before = [weight.numpy() for weight in model.weights]
    explainer = ClassExplainer(model, "grad_cam")
    result = parameter_randomisation(model, images, explainer, mode=mode)
    assert (result.mode, result.layers) == (mode, TOP_DOWN)
    assert result.spearman.shape == result.ssim.shape == (3, 5)
    trained, *steps = recorded
    for index, weights in enumerate(steps):
        names = TOP_DOWN[: index + 1] if mode == "cascading" else TOP_DOWN[index : index + 1]
        assert changed(trained, weights) == {part for name in names for part in GROUPS[name]}
    # The model keeps its weights, and the explainer gets them back.
    for weight, old in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(weight.numpy(), old)
    explainer.heatmaps(images, np.zeros(5, int))
    assert changed(trained, recorded[-1]) == set()


def test_new_weights_are_those_of_a_new_layer(build_cnn, images, recorded):
    parameter_randomisation(build_cnn(), images, "grad_cam")
    new = recorded[-1]
    for array, value in zip(new["bn1"], [1, 0, 0, 1], strict=True):
        np.testing.assert_array_equal(array, value)
    np.testing.assert_array_equal(new["conv2"][1], 0)
    np.testing.assert_array_equal(new["top"][1], 0)
    assert np.std(new["conv2"][0]) == pytest.approx(np.sqrt(2 / (9 * 6)), rel=0.1)
    assert np.mean(new["conv2"][0]) == pytest.approx(0, abs=0.03)
    # Every layer has draws of its own.
    draws = [new[name][0].ravel()[:20] for name in TOP_DOWN]
    assert np.abs(np.corrcoef(draws) - np.eye(3)).max() < 0.6


def test_a_layer_gets_the_same_weights_in_both_modes_and_others_by_another_seed(
    build_cnn, images, recorded
):
    model = build_cnn()
    parameter_randomisation(model, images, "grad_cam", mode="cascading", layers=["conv1"])
    parameter_randomisation(model, images, "grad_cam", mode="independent", layers=["conv1"])
    trained, cascade, _, alone = recorded
    assert changed(cascade, alone) == {"top", "conv2"}
    assert changed(trained, cascade) == {"top", "conv2", "conv1", "bn1"}
    parameter_randomisation(model, images, "grad_cam", layers=["top"], seed=1)
    assert changed(cascade, recorded[-1]) == {"top", "conv2", "conv1", "bn1"}
    assert (recorded[-1]["top"][0] != cascade["top"][0]).any()


def test_chosen_layers_give_what_all_of_them_give(build_cnn, images):
    model = build_cnn()
    for mode in ("cascading", "independent"):
        every = parameter_randomisation(model, images, "grad_cam", mode=mode)
        some = parameter_randomisation(
            model, images, "grad_cam", mode=mode, layers=["conv1", "top"], batch_size=2
        )
        assert some.layers == ("top", "conv1")
        np.testing.assert_allclose(some.spearman, every.spearman[[0, 2]], atol=1e-4)
        np.testing.assert_allclose(some.ssim, every.ssim[[0, 2]], atol=1e-4)


def test_a_method_that_ignores_the_network_fails_and_grad_cam_does_not(build_cnn, images):
    model = build_cnn()
    ignorant = parameter_randomisation(model, images, "brightness")
    np.testing.assert_allclose(ignorant.spearman, 1)
    np.testing.assert_allclose(ignorant.ssim, 1)
    sound = parameter_randomisation(model, images, "grad_cam")
    assert sound.spearman[-1].mean() < 0.7
    rows = sound.rows()
    assert [row["layer"] for row in rows] == list(TOP_DOWN)
    assert rows[0] == {
        "mode": "cascading",
        "layer": "top",
        "spearman": pytest.approx(sound.spearman[0].mean()),
        "ssim": pytest.approx(sound.ssim[0].mean()),
    }


def test_the_explained_class_stays(build_cnn, images):
    model = build_cnn()
    explainer = ClassExplainer(model, "grad_cam")
    predicted = explainer.class_ids(images, None)
    by_default = parameter_randomisation(model, images, explainer)
    given = parameter_randomisation(model, images, explainer, class_ids=predicted)
    np.testing.assert_array_equal(by_default.spearman, given.spearman)
    other = parameter_randomisation(model, images, explainer, class_ids=(predicted + 1) % 3)
    assert np.abs(by_default.spearman - other.spearman).max() > 1e-3


class Scaled(layers.Layer):
    """A convolution and a scale in a layer of the user's own, which is copied with its code."""

    def build(self, shape):
        self.kernel = self.add_weight(shape=(3, 3, shape[-1], 4), name="kernel")
        self.gamma = self.add_weight(shape=(4,), initializer="ones", name="gamma")
        self.shift = self.add_weight(shape=(4,), initializer="ones", name="shift")

    def call(self, inputs):
        return keras.ops.conv(inputs, self.kernel, padding="same") * self.gamma + self.shift


def test_custom_depthwise_and_preprocessing_layers(images, recorded):
    image = keras.Input((12, 12, 3))
    statistics = layers.Normalization(name="statistics")
    statistics.adapt(images)
    x = layers.BatchNormalization(name="first")(statistics(image))
    x = Scaled(name="custom")(x)
    x = layers.DepthwiseConv2D(3, depth_multiplier=8, name="depthwise")(x)
    x = layers.LayerNormalization(name="norm")(layers.ReLU()(x))
    outputs = layers.Dense(2, activation="softmax", name="top")(layers.GlobalMaxPooling2D()(x))
    model = keras.Model(image, outputs)
    for weight in model.weights:
        if weight.name in ("gamma", "shift", "moving_variance"):
            weight.assign(weight + 3)
    assert weight_layers(model) == ("top", "depthwise", "custom")
    parameter_randomisation(model, images, "grad_cam")
    new = recorded[-1]
    np.testing.assert_array_equal(new["custom"][1], 1)
    np.testing.assert_array_equal(new["custom"][2], 0)
    np.testing.assert_array_equal(new["first"][3], 1)
    np.testing.assert_array_equal(new["norm"][0], 1)
    assert np.std(new["depthwise"][0]) == pytest.approx(np.sqrt(2 / 9), rel=0.15)
    assert len(new["statistics"]) == 3
    assert "statistics" not in changed(recorded[0], new)


def test_nested_models_are_randomised_through(build_cnn, images):
    inner = build_cnn()
    image = keras.Input((12, 12, 3))
    model = keras.Model(image, layers.Dense(4, name="outer")(inner(image)))
    assert weight_layers(model) == ("outer", *TOP_DOWN)
    result = parameter_randomisation(model, images, "grad_cam", mode="independent")
    assert result.layers == ("outer", *TOP_DOWN)


def test_wrong_arguments_are_refused(build_cnn, images):
    model = build_cnn()
    with pytest.raises(ValueError, match="`mode` must be one of"):
        parameter_randomisation(model, images, mode="random")
    with pytest.raises(ValueError, match=r"unknown: \['bn1'\]. Known: top, conv2, conv1"):
        parameter_randomisation(model, images, layers=["top", "bn1"])
    with pytest.raises(ValueError, match="at least one layer"):
        parameter_randomisation(model, images, layers=[])
    bare = keras.Sequential([keras.Input((2, 1, 1)), layers.Flatten()])
    with pytest.raises(ValueError, match="no weights"):
        parameter_randomisation(bare, np.ones((1, 2, 1, 1)), "blank")
