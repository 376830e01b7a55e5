"""Derivatives of activation functions, at their kinks too."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import activations, layers, ops

from export.vjp.activations import ACTIVATIONS, activate
from export.vjp.registry import rule_of

# Where some function has a kink, and around; large values, where an exponential overflows.
VALUES = [-200, -6, -3.5, -3, -1, -0.5, 0, 0.25, 0.5, 1, 2.5, 3, 5.5, 6, 7, 50]
MATRIX = np.array(VALUES, np.float32).reshape(2, 8)


def derivative(function, x):
    """The tape's, and the rule's, of the sum of the outputs weighted 1, 2, 3, ..."""
    x = tf.constant(x)
    weights = tf.reshape(tf.range(1, tf.size(x, tf.float32) + 1), x.shape)
    with tf.GradientTape() as tape:
        tape.watch(x)
        expected = function(x)
    y, pullback = activate(function, x)
    np.testing.assert_array_equal(y, expected)
    (gradient,) = pullback(weights)
    return np.asarray(tape.gradient(expected, x, weights)), np.asarray(gradient)


@pytest.mark.parametrize("function", ACTIVATIONS, ids=lambda function: function.__name__)
def test_derivative_is_the_tapes_at_kinks_and_elsewhere(function):
    # The exponential of 200 is no float32, and its derivative infinite.
    x = np.minimum(MATRIX, 7) if function is activations.exponential else MATRIX
    expected, gradient = derivative(function, x)
    assert np.isfinite(gradient).all()
    np.testing.assert_allclose(gradient, expected, rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize("function", ACTIVATIONS, ids=lambda function: function.__name__)
@settings(deadline=None, max_examples=20)
@given(x=st.lists(st.floats(-8, 8, width=32), min_size=2, max_size=6))
def test_derivative_is_the_tapes_anywhere(function, x):
    expected, gradient = derivative(function, np.array([x], np.float32))
    np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-5)


def test_relu_is_flat_at_zero_and_relu6_at_six():
    x = np.array([-1, 0, 1, 6, 7], np.float32)
    assert derivative(activations.relu, x)[1].tolist() == [0, 0, 3, 4, 5]
    assert derivative(activations.relu6, x)[1].tolist() == [0, 0, 3, 0, 0]


@pytest.mark.parametrize(
    "layer",
    [
        layers.ReLU(),
        layers.ReLU(max_value=6),
        layers.ReLU(max_value=3),
        layers.ReLU(negative_slope=0.25),
        layers.ReLU(negative_slope=0.25, threshold=1),
        layers.ReLU(max_value=6, negative_slope=0.1, threshold=0.5),
        layers.LeakyReLU(negative_slope=0.3),
        layers.ELU(alpha=0.5),
        layers.Softmax(),
        layers.Softmax(axis=1),
        layers.Softmax(axis=[1]),
        layers.Softmax(axis=(1, 2)),
        layers.Activation("gelu"),
        layers.Activation(layers.LeakyReLU(negative_slope=0.5)),
    ],
    ids=lambda layer: layer.name,
)
def test_layers_heed_their_options(layer, check_rule):
    check_rule(layer, MATRIX.reshape(2, 2, 4))


def test_prelu_has_a_slope_of_its_own_per_channel(check_rule):
    layer = layers.PReLU(shared_axes=[1, 2])
    layer.build((None, 2, 2, 4))
    layer.alpha.assign([[[0.1, -0.2, 0.3, 0.4]]])
    (gradient,) = check_rule(
        layer, MATRIX.reshape(1, 2, 2, 4)[:, :1], upstream=np.ones((1, 1, 2, 4), np.float32)
    )
    assert gradient.ravel().tolist() == pytest.approx([0.1, -0.2, 0.3, 0.4, 0.1, -0.2, 0, 1])


@pytest.mark.parametrize(
    "function",
    [
        lambda x: ops.leaky_relu(x, negative_slope=0.3),
        lambda x: ops.elu(x, alpha=0.5),
        lambda x: ops.gelu(x, approximate=True),
        lambda x: ops.gelu(x, approximate=False),
        lambda x: ops.squareplus(x, b=2),
        lambda x: ops.softmax(x, axis=2),
        lambda x: ops.log_softmax(x, axis=1),
        lambda x: activations.relu(x, negative_slope=0.1, max_value=1.0, threshold=0.2),
        lambda x: ops.relu6(ops.exp(ops.silu(x))),
        lambda x: ops.sqrt(ops.square(x) + 1.0) - ops.clip(-x, -0.5, 0.5),
        lambda x: ops.tanh(x) * ops.sigmoid(x) + ops.softplus(ops.hard_silu(x)),
        lambda x: ops.selu(x) + ops.log_sigmoid(x) + ops.hard_tanh(x) + ops.softsign(x),
        lambda x: ops.hard_sigmoid(x) + ops.tanh_shrink(ops.relu(x)),
    ],
)
def test_operations_heed_their_options(function, build_model, check_head):
    check_head(build_model(function))


def test_another_function_is_refused_by_name():
    with pytest.raises(NotImplementedError, match="its activation is celu; supported are elu"):
        activate(activations.celu, tf.ones([1, 2]))
    with pytest.raises(NotImplementedError, match="its activation is Dense"):
        activate(layers.Dense(2), tf.ones([1, 2]))


def test_a_softmax_over_the_batch_is_refused():
    operation = ops.softmax(keras.Input((4,)), axis=None)._keras_history.operation
    with pytest.raises(NotImplementedError, match="axis=None"):
        rule_of(operation)(operation, tf.ones([2, 4]))
