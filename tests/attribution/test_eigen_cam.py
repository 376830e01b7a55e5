"""Eigen-CAM and Eigen-Grad-CAM against the singular value decomposition of NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from proxy_keras.attribution import Explainer
from proxy_keras.attribution.eigen_grad_cam import EigenGradCAM
from proxy_keras.attribution.principal_component import first_component


def scaled(maps):
    low = maps.min(axis=(1, 2), keepdims=True)
    span = maps.max(axis=(1, 2), keepdims=True) - low
    return (maps - low) / np.where(span == 0, 1, span)


def component_in_numpy(maps, toward):
    result = []
    for image, direction in zip(maps.astype(np.float64), toward, strict=True):
        u, s, _ = np.linalg.svd(image.reshape(-1, image.shape[-1]), full_matrices=False)
        values = (u[:, 0] * s[0]).reshape(image.shape[:2])
        result.append(values if (values * direction).sum() >= 0 else -values)
    return np.stack(result)


# Fewer cells than channels, and more.
@pytest.mark.parametrize("shape", [(3, 4, 5, 40), (3, 4, 5, 6), (2, 1, 7, 7), (1, 3, 3, 1)])
def test_component_is_that_of_the_decomposition(shape):
    maps = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    toward = maps.sum(axis=-1)
    maps_scale = np.abs(maps).max(axis=(1, 2, 3)).reshape(-1, 1, 1)
    got = first_component(tf.constant(maps), tf.constant(toward)).numpy() * maps_scale
    expected = component_in_numpy(maps, toward)
    # The length is arbitrary, so each map is scaled by its own norm before the comparison.
    ratio = np.abs(got).max(axis=(1, 2)) / np.abs(expected).max(axis=(1, 2))
    np.testing.assert_allclose(got / ratio.reshape(-1, 1, 1), expected, atol=1e-5)


def test_the_same_of_any_number_of_cells():
    maps = tf.constant(np.random.default_rng(0).normal(size=(2, 3, 4, 30)), tf.float32)
    toward = tf.reduce_sum(maps, axis=-1)
    known = first_component(maps, toward).numpy()
    open_size = tf.function(first_component).get_concrete_function(
        tf.TensorSpec([None, None, None, 30]), tf.TensorSpec([None, None, None])
    )
    got = open_size(maps, toward).numpy()
    scale = np.abs(got).max(axis=(1, 2), keepdims=True)
    expected = known / np.abs(known).max(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(got / scale, expected, atol=1e-5)


def test_sign_follows_the_reference():
    maps = tf.constant(np.random.default_rng(0).normal(size=(2, 3, 4, 5)), tf.float32)
    toward = tf.reduce_sum(maps, axis=-1)
    up, down = first_component(maps, toward), first_component(maps, -toward)
    np.testing.assert_allclose(up, -down)
    assert (tf.reduce_sum(up * toward, axis=[1, 2]).numpy() > 0).all()


def test_zeros_and_equal_cells_give_blank_maps():
    maps = np.zeros((2, 3, 4, 6), np.float32)
    maps[1] = np.random.default_rng(0).normal(size=6)
    values = first_component(tf.constant(maps), tf.ones([2, 3, 4])).numpy()
    assert not values[0].any()
    assert np.ptp(values[1]) == 0


@pytest.mark.parametrize("factor", [1e-30, 1e30])
def test_extreme_magnitudes_do_no_harm(factor):
    maps = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(np.float32)
    toward = maps.sum(axis=-1)
    np.testing.assert_allclose(
        first_component(tf.constant(maps * np.float32(factor)), tf.constant(toward)),
        first_component(tf.constant(maps), tf.constant(toward)),
        atol=1e-5,
    )


def test_eigen_cam_of_a_model(build_cnn, images):
    model = build_cnn()
    activations = np.asarray(keras.Model(model.input, model.get_layer("relu").output)(images))
    expected = component_in_numpy(activations, np.square(activations).sum(axis=-1))
    logits, heat = Explainer(model, "eigen_cam").logits_and_heatmaps(images)
    np.testing.assert_allclose(heat, scaled(np.maximum(expected, 0)), atol=1e-5)
    np.testing.assert_allclose(logits, model(images, training=False), atol=1e-5)
    by_class = Explainer(model, "eigen_cam", explain="true").heatmaps(images, np.arange(7) % 4)
    np.testing.assert_array_equal(by_class, heat)


def test_eigen_grad_cam_of_a_model(build_cnn, images):
    model = build_cnn()
    activations = np.asarray(keras.Model(model.input, model.get_layer("relu").output)(images))
    rows = model.get_layer("top").get_weights()[0].T[np.asarray(model(images)).argmax(axis=1)]
    products = activations * rows[:, np.newaxis, np.newaxis]
    expected = component_in_numpy(products, products.sum(axis=-1))
    got = Explainer(model, "eigen_grad_cam").heatmaps(images)
    np.testing.assert_allclose(got, scaled(np.maximum(expected, 0)), atol=1e-4)


def test_eigen_grad_cam_shows_positive_evidence_even_if_negative_prevails():
    activations = np.ones((1, 1, 3, 1), np.float32)
    gradients = np.array([-3.0, 2.0, 1.5], np.float32).reshape(activations.shape)
    heat = EigenGradCAM().combine(tf.constant(activations), tf.constant(gradients)).numpy()
    np.testing.assert_allclose(heat / heat.max(), [[[0, 1, 0.75]]], atol=1e-6)


def test_eigen_cam_on_signed_activations_is_positive_where_they_are_large(images):
    image = keras.Input((16, 16, 3))
    x = layers.Conv2D(4, 3, strides=2, name="last")(layers.Rescaling(-1 / 64)(image))
    model = keras.Model(image, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))
    activations = np.asarray(keras.Model(image, x)(images))
    energy = np.square(activations).sum(axis=-1)
    heat = Explainer(model, "eigen_cam", target_layer="last").heatmaps(images)
    for one, other in zip(heat, energy, strict=True):
        assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.5


@pytest.mark.parametrize(("a", "g"), [(1e30, 1e30), (1e-30, 1e-30), (1e30, 1e-30)])
def test_eigen_grad_cam_of_extreme_values_stays_finite(a, g):
    rng = np.random.default_rng(0)
    activations, gradients = rng.normal(size=(2, 3, 4, 5, 6)).astype(np.float32)
    got = EigenGradCAM().combine(
        tf.constant(activations * np.float32(a)), tf.constant(gradients * np.float32(g))
    )
    expected = EigenGradCAM().combine(tf.constant(activations), tf.constant(gradients))
    np.testing.assert_allclose(scaled(got.numpy()), scaled(expected.numpy()), atol=1e-4)
