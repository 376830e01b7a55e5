"""CAM and HiResCAM against their closed forms."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from proxy_keras.attribution import Explainer
from proxy_keras.attribution.hires_cam import HiResCAM


def scaled(maps):
    low = maps.min(axis=(1, 2), keepdims=True)
    span = maps.max(axis=(1, 2), keepdims=True) - low
    return (maps - low) / np.where(span == 0, 1, span)


def test_cam_is_the_classs_row_of_the_kernel(build_cnn, images):
    model = build_cnn()
    activations = np.asarray(keras.Model(model.input, model.get_layer("relu").output)(images))
    rows = model.get_layer("top").get_weights()[0].T[np.arange(7) % 4]
    expected = scaled(np.maximum(np.einsum("bhwd,bd->bhw", activations, rows), 0))
    got = Explainer(model, "cam", explain="true").heatmaps(images, np.arange(7) % 4)
    np.testing.assert_allclose(got, expected, atol=1e-5)


def quadratic(logits):
    return ops.square(logits[:, 0]) - logits[:, 1]


@pytest.mark.parametrize("mode", ["predicted", "contrast", quadratic])
@pytest.mark.parametrize("method", ["cam", "hires_cam"])
def test_they_equal_grad_cam_before_pooling_and_a_dense_layer(build_cnn, images, method, mode):
    model = build_cnn()
    labels = np.arange(7) % 4
    np.testing.assert_allclose(
        Explainer(model, method, explain=mode).heatmaps(images, labels),
        Explainer(model, "grad_cam", explain=mode).heatmaps(images, labels),
        atol=1e-5,
    )


def test_cam_refuses_other_heads_and_names_the_way_out(images):
    image = keras.Input((16, 16, 3))
    x = layers.Conv2D(4, 3, strides=2, activation="relu", name="last")(image)
    model = keras.Model(image, layers.Dense(3)(layers.Flatten()(x)))
    with pytest.raises(ValueError, match="global average pooling.*'last'.*method='grad_cam'"):
        Explainer(model, "cam").heatmaps(images)


def test_cam_follows_further_training(build_cnn, images):
    model = build_cnn()
    explainer = Explainer(model, "cam")
    before = explainer.heatmaps(images)
    model.get_layer("top").kernel.assign(-model.get_layer("top").kernel)
    explainer.refresh()
    np.testing.assert_allclose(
        explainer.heatmaps(images), Explainer(model, "cam").heatmaps(images), atol=1e-6
    )
    assert np.abs(explainer.heatmaps(images) - before).max() > 0.1


def test_hires_cam_by_hand():
    activations = np.array([[[[1.0, 2.0]], [[3.0, 4.0]]]], np.float32)
    gradients = np.array([[[[2.0, -1.0]], [[-1.0, 1.0]]]], np.float32)
    # 2 - 2 and -3 + 4.
    np.testing.assert_allclose(
        scaled(HiResCAM().combine(activations, gradients).numpy()), [[[0.0], [1.0]]], atol=1e-6
    )


def test_hires_cam_is_gradient_times_activation_in_a_flattened_head(images):
    image = keras.Input((16, 16, 3))
    x = layers.Conv2D(4, 3, strides=2, activation="relu", name="last")(image)
    model = keras.Model(image, layers.Dense(3, name="top")(layers.Flatten()(x)))
    activations = np.asarray(keras.Model(image, x)(images))
    logits = np.asarray(model(images))
    rows = model.get_layer("top").get_weights()[0].T[logits.argmax(axis=1)]
    products = activations * rows.reshape(activations.shape)
    got = Explainer(model, "hires_cam").heatmaps(images)
    np.testing.assert_allclose(got, scaled(np.maximum(products.sum(axis=-1), 0)), atol=1e-5)


@pytest.mark.parametrize(("a", "g"), [(1e30, 1e30), (1e-30, 1e-30), (1e30, 1e-30)])
def test_extreme_magnitudes_stay_finite(a, g):
    rng = np.random.default_rng(0)
    activations, gradients = rng.normal(size=(2, 3, 4, 5, 6)).astype(np.float32)
    maps = HiResCAM().combine(tf.constant(activations * np.float32(a)), gradients * np.float32(g))
    np.testing.assert_allclose(
        scaled(maps.numpy()), scaled(HiResCAM().combine(activations, gradients).numpy()), atol=1e-5
    )
