"""The gradient methods against their definitions in NumPy."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from proxy_keras.attribution.grad_cam import GradCAM
from proxy_keras.attribution.grad_cam_plus_plus import GradCAMPlusPlus
from proxy_keras.attribution.layer_cam import LayerCAM
from proxy_keras.attribution.method import unit_scale

GRADIENT_METHODS = [GradCAM, GradCAMPlusPlus, LayerCAM]


def scaled(maps):
    low = maps.min(axis=(1, 2), keepdims=True)
    span = maps.max(axis=(1, 2), keepdims=True) - low
    return (maps - low) / np.where(span == 0, 1, span)


def tensors(seed=0, shape=(3, 4, 5, 6)):
    rng = np.random.default_rng(seed)
    activations = np.maximum(rng.normal(size=shape), 0)
    gradients = rng.normal(size=shape)
    return activations.astype(np.float32), gradients.astype(np.float32)


def test_grad_cam_by_hand():
    activations = np.zeros((1, 2, 2, 2), np.float32)
    activations[0, :, :, 0] = [[1, 2], [0, 0]]
    activations[0, :, :, 1] = [[0, 1], [4, 0]]
    gradients = np.zeros_like(activations)
    gradients[0, :, :, 0] = 1.0
    gradients[0, :, :, 1] = [[-1, 0], [-1, 0]]
    # Channel weights 1 and -1/2: [[1, 1.5], [-2, 0]], then ReLU.
    np.testing.assert_allclose(
        scaled(GradCAM().combine(activations, gradients).numpy()),
        [[[1 / 1.5, 1], [0, 0]]],
        atol=1e-6,
    )


def test_layer_cam_by_hand():
    activations = np.array([[[[1.0, 2.0]], [[3.0, 4.0]]]], np.float32)
    gradients = np.array([[[[2.0, -1.0]], [[-5.0, 1.0]]]], np.float32)
    # 1*2 and 4*1; negative gradients count as 0.
    np.testing.assert_allclose(
        scaled(LayerCAM().combine(activations, gradients).numpy()), [[[0.0], [1.0]]], atol=1e-6
    )


@pytest.mark.parametrize("logit", [0.0, 3.0])
def test_grad_cam_plus_plus_is_the_papers_formula_with_exp(logit):
    activations, gradients = tensors()
    a, g = activations.astype(float), gradients.astype(float)
    # Derivatives of exp(S): exp(S) g, exp(S) g^2, exp(S) g^3.
    first, second, third = (np.exp(logit) * g**power for power in (1, 2, 3))
    alphas = second / (2 * second + a.sum(axis=(1, 2), keepdims=True) * third)
    weights = (alphas * np.maximum(first, 0)).sum(axis=(1, 2), keepdims=True)
    expected = np.maximum((weights * a).sum(axis=-1), 0)
    np.testing.assert_allclose(
        scaled(GradCAMPlusPlus().combine(activations, gradients).numpy()),
        scaled(expected),
        atol=1e-5,
    )


def test_grad_cam_plus_plus_takes_no_weight_from_zero_gradients():
    activations, gradients = tensors()
    gradients[..., 0] = 0
    without = GradCAMPlusPlus().combine(activations[..., 1:], gradients[..., 1:]).numpy()
    np.testing.assert_allclose(
        scaled(GradCAMPlusPlus().combine(activations, gradients).numpy()),
        scaled(without),
        atol=1e-5,
    )


@pytest.mark.parametrize("method", GRADIENT_METHODS)
@pytest.mark.parametrize(("a", "g"), [(1e30, 1e30), (1e-30, 1e-30), (1e30, 1e-30), (1e-30, 1e30)])
def test_extreme_magnitudes_stay_finite(method, a, g):
    activations, gradients = tensors()
    maps = method().combine(activations * np.float32(a), gradients * np.float32(g)).numpy()
    assert np.isfinite(maps).all()
    assert (maps.max(axis=(1, 2)) > 0).all()


@pytest.mark.parametrize("method", GRADIENT_METHODS)
def test_sums_beyond_float32_stay_finite(method):
    activations = np.full((1, 2, 2, 4), 3e38, np.float32)
    activations[0, 0] /= 2
    maps = method().combine(activations, np.full_like(activations, 3e38)).numpy()
    np.testing.assert_allclose(scaled(maps), [[[0, 0], [1, 1]]], atol=1e-6)


@pytest.mark.parametrize("method", [GradCAM, LayerCAM])
@settings(max_examples=30, deadline=None)
@given(factor=st.floats(1e-3, 1e3), seed=st.integers(0, 50))
def test_maps_do_not_depend_on_the_scale_of_the_score(method, factor, seed):
    activations, gradients = tensors(seed)
    np.testing.assert_allclose(
        scaled(method().combine(activations, gradients * np.float32(factor)).numpy()),
        scaled(method().combine(activations, gradients).numpy()),
        atol=1e-4,
    )


@pytest.mark.parametrize("method", GRADIENT_METHODS)
@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_maps_are_finite_and_not_negative_for_any_finite_input(method, data):
    arrays = hnp.arrays(
        np.float32,
        (2, 3, 2, 2),
        elements=st.floats(allow_nan=False, allow_infinity=False, width=32),
    )
    maps = method().combine(data.draw(arrays), data.draw(arrays)).numpy()
    assert maps.shape == (2, 3, 2)
    assert np.isfinite(maps).all()
    assert maps.min() >= 0


def test_unit_scale_is_per_image():
    tensor = tf.constant([[[[2.0, -4.0]]], [[[0.0, 0.0]]]])
    result, scale = unit_scale(tensor)
    np.testing.assert_array_equal(result, [[[[0.5, -1.0]]], [[[0.0, 0.0]]]])
    np.testing.assert_array_equal(scale[:, 0, 0, 0], [4.0, 0.0])
