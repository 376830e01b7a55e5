"""Gradients through normalisation layers in inference."""

import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from export.vjp.normalization import layer_normalization

X = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(np.float32)


def test_batch_normalisation_exactly(check_rule):
    layer = layers.BatchNormalization(epsilon=0)
    layer.build((None, 2))
    layer.set_weights([np.float32(v) for v in ([3, 1], [0, 9], [5, 5], [4, 0.25])])
    (gradient,) = check_rule(layer, np.float32([[7, 8]]), upstream=np.float32([[2, 10]]))
    assert gradient.tolist() == [[2 * 3 / 2, 10 * 1 / 0.5]]


@pytest.mark.parametrize("axis", [-1, 1])
@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize("center", [True, False])
def test_batch_normalisation(axis, scale, center, randomise, check_rule):
    layer = layers.BatchNormalization(axis=axis, scale=scale, center=center)
    layer.build(X.shape)
    check_rule(randomise(layer), X)


@pytest.mark.parametrize("axis", [-1, 2, [1, 2], (2, 3), [1, 2, 3]])
@pytest.mark.parametrize(("scale", "center"), [(True, True), (False, True), (True, False)])
def test_layer_normalisation(axis, scale, center, randomise, check_rule):
    layer = layers.LayerNormalization(axis=axis, scale=scale, center=center, epsilon=1e-3)
    layer.build(X.shape)
    check_rule(randomise(layer), X)


def test_layer_normalisation_of_equal_values_stays_finite(check_rule):
    (gradient,) = check_rule(layers.LayerNormalization(epsilon=1e-6), np.ones((2, 4), np.float32))
    assert np.isfinite(gradient).all()


def test_scaling_by_the_root_mean_square_is_refused():
    layer = layers.LayerNormalization()
    # Passed to the constructor it warns that it is deprecated.
    layer.rms_scaling = True
    layer.build((None, 4))
    with pytest.raises(NotImplementedError, match="rms_scaling=True"):
        layer_normalization(layer, tf.ones([1, 4]))


@pytest.mark.parametrize("scale", [0.5, [1.0, 2.0, 3.0, 4.0, 5.0]])
def test_rescaling(scale, check_rule):
    (gradient,) = check_rule(layers.Rescaling(scale, 3.0), X, upstream=np.ones_like(X))
    np.testing.assert_array_equal(gradient, np.broadcast_to(np.float32(scale), X.shape))
