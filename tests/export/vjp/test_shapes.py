"""Gradients through what moves, cuts out or pads values."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers, ops

from export.vjp.shapes import get_item

X = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(np.float32)


@pytest.mark.parametrize(
    "layer",
    [
        layers.Flatten(),
        layers.Reshape((4, 15)),
        layers.Reshape((-1, 5)),
        layers.Permute((3, 1, 2)),
        layers.ZeroPadding2D(((1, 2), (0, 3))),
        layers.Cropping2D(((1, 0), (2, 1))),
        layers.Identity(),
        layers.Dropout(0.5),
        layers.SpatialDropout2D(0.5),
        layers.AlphaDropout(0.5),
        layers.GaussianDropout(0.5),
        layers.GaussianNoise(0.5),
        layers.ActivityRegularization(0.1),
    ],
    ids=lambda layer: layer.name,
)
def test_layers(layer, check_rule):
    check_rule(layer, X)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: ops.reshape(x, (-1, 36, 4)),
        lambda x: ops.squeeze(ops.expand_dims(x, 2), axis=2),
        lambda x: ops.squeeze(ops.expand_dims(x, (1, 3)), axis=(1, 3)),
        lambda x: ops.transpose(x, (0, 3, -2, 1)),
        lambda x: ops.swapaxes(x, 1, -1),
        lambda x: x[:, None, 1:, :, 1:3] * x[:, 2, None, :, :2][:, None],
        lambda x: ops.cast(x, "float32"),
        lambda x: ops.stop_gradient(x) * x,
    ],
)
def test_operations(function, build_model, check_head):
    check_head(build_model(function))


def test_cropping_of_a_sequence(check_rule):
    check_rule(layers.Cropping1D((2, 1)), X.reshape(2, 12, 5))


def test_the_class_token_exactly():
    x = tf.reshape(tf.range(12.0), [2, 3, 2])
    y, pullback = get_item(None, x, (slice(None), 0))
    assert y.numpy().tolist() == [[0, 1], [6, 7]]
    (gradient,) = pullback(tf.constant([[1.0, 2.0], [3.0, 4.0]]))
    assert gradient.numpy().tolist() == [[[1, 2], [0, 0], [0, 0]], [[3, 4], [0, 0], [0, 0]]]


INDICES = st.one_of(
    st.integers(-4, 3),
    st.builds(slice, st.integers(-4, 2), st.just(None), st.sampled_from([None, 1, 2, 3])),
    st.builds(slice, st.just(None), st.integers(3, 6), st.sampled_from([None, 2])),
)


@settings(deadline=None, max_examples=60)
@given(parts=st.lists(INDICES, min_size=0, max_size=3), data=st.data())
def test_indexing(parts, data):
    key = [slice(None), *parts]
    if data.draw(st.booleans()):
        key = [slice(None), Ellipsis, *parts]
    if data.draw(st.booleans()):
        key.insert(data.draw(st.integers(1, len(key))), None)
    x = tf.random.stateless_normal([2, 4, 4, 4], [1, 2])
    with tf.GradientTape() as tape:
        tape.watch(x)
        expected = x[tuple(key)]
    upstream = tf.random.stateless_normal(expected.shape, [3, 4])
    y, pullback = get_item(None, x, tuple(key))
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(pullback(upstream)[0], tape.gradient(expected, x, upstream))


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda x: x[:, ::-1], "backwards, with a step of -1"),
        (lambda x: x[1:, 0], "selects examples of the batch"),
        (lambda x: x * ops.cast(ops.cast(x, "int32"), "float32"), "casts to int32"),
        (lambda x: ops.squeeze(ops.expand_dims(x, 1)), "number of axes depends on the batch"),
        (lambda x: ops.cumsum(x, axis=1), "its type has no rule"),
    ],
)
def test_refusals(function, reason, build_model, check_head):
    with pytest.raises(ValueError, match=reason):
        check_head(build_model(function))
