"""Input invariance: the shifted network is the same, and what that says of a method."""

import keras
import numpy as np
import pytest
from keras import layers

from proxy_keras.metrics import ClassExplainer, input_invariance, spearman


def scaled(maps):
    low = maps.min(axis=(1, 2), keepdims=True)
    return (maps - low) / (maps.max(axis=(1, 2), keepdims=True) - low)


@pytest.mark.parametrize("shift", [64.0, -20, [10.0, -30.0, 5.0]])
@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_grad_cam_passes_for_it_sees_activations_only(build_cnn, images, shift, policy):
    keras.config.set_dtype_policy(policy)
    result = input_invariance(build_cnn(), images, "grad_cam", shift=shift, batch_size=2)
    np.testing.assert_allclose(result.spearman, 1, atol=1e-6)
    np.testing.assert_allclose(result.difference, 0, atol=1e-6)
    np.testing.assert_allclose(result.logit_difference, 0, atol=1e-5)


def test_a_fixed_baseline_fails_by_as_much_as_it_must(build_cnn, images):
    result = input_invariance(build_cnn(), images, "from_grey", shift=50.0)
    plain = scaled(np.abs(images - 128).mean(axis=-1))
    shifted = scaled(np.abs(images + 50 - 128).mean(axis=-1))
    expected = np.abs(plain - shifted).mean(axis=(1, 2))
    np.testing.assert_allclose(result.difference, expected, atol=1e-5)
    np.testing.assert_allclose(result.spearman, spearman(plain, shifted), atol=1e-3)
    np.testing.assert_allclose(result.logit_difference, 0, atol=1e-5)


def test_the_model_gets_no_new_node_and_keeps_its_weights(build_cnn, images):
    model = build_cnn()
    before = [weight.numpy() for weight in model.weights]
    nodes = len(model._inbound_nodes), [len(layer._inbound_nodes) for layer in model.layers]
    input_invariance(model, images, ClassExplainer(model, "grad_cam"))
    assert nodes == (
        len(model._inbound_nodes),
        [len(layer._inbound_nodes) for layer in model.layers],
    )
    for weight, old in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(weight.numpy(), old)


@pytest.mark.parametrize("target_layer", ["backbone/conv1", "conv1", "shared", None])
def test_both_networks_are_explained_at_the_same_layer(build_cnn, images, target_layer):
    inner = build_cnn()
    backbone = keras.Model(inner.input, inner.get_layer("conv2").output, name="backbone")
    image = keras.Input((12, 12, 3))
    x = layers.Conv2D(4, 1, name="shared")(backbone(image))
    x = layers.Conv2D(4, 1, name="conv2")(x)
    outputs = layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling2D()(x))
    model = keras.Model(image, outputs, name="whole")
    options = {"target_layer": target_layer}
    result = input_invariance(model, images, "layer_cam", options=options)
    np.testing.assert_allclose(result.difference, 0, atol=1e-6)


def test_wrong_arguments_are_refused(build_cnn, images):
    for shift in ([1.0, 2.0], np.nan):
        with pytest.raises(ValueError, match="`shift` must be a finite number, or 3"):
            input_invariance(build_cnn(), images, "grad_cam", shift=shift)
