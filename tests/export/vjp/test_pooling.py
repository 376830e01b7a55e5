"""Gradients through windows of averages and maxima, with equal cells."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers, ops

from export.vjp.pooling import max_pool

SHAPES = {
    "size": st.tuples(st.integers(3, 8), st.integers(3, 8)),
    "pool_size": st.tuples(st.integers(1, 3), st.integers(1, 3)),
    "strides": st.one_of(st.none(), st.tuples(st.integers(1, 3), st.integers(1, 3))),
    "padding": st.sampled_from(["same", "valid"]),
}


def maps(size, values=None, seed=0, depth=3):
    """Random maps; of a few whole numbers, so that cells are equal, if `values` says how many."""
    rng = np.random.default_rng(seed)
    if values is None:
        return rng.normal(size=(2, *size, depth)).astype(np.float32)
    return rng.integers(0, values, (2, *size, depth)).astype(np.float32) - 1


def grid(rows):
    return np.array(rows, np.float32)[None, ..., None]


def test_average_exactly(check_rule):
    layer = layers.AveragePooling2D(2, 1, padding="same")
    # Windows of 4, 2 (at the right), 2 (at the bottom) and 1 real cells.
    (gradient,) = check_rule(
        layer, maps((2, 2), depth=1)[:1], upstream=grid([[4, 20], [200, 1000]])
    )
    assert gradient[0, ..., 0].tolist() == [[1, 11], [101, 1111]]


def test_the_first_of_equal_cells_takes_a_windows_gradient(check_rule):
    layer = layers.MaxPooling2D(2)
    x = grid([[1, 1, 0, 2], [1, 1, 2, 2]])
    (gradient,) = check_rule(layer, x, upstream=grid([[5, 7]]))
    assert gradient[0, ..., 0].tolist() == [[5, 0, 0, 7], [0, 0, 0, 0]]


def test_overlapping_windows_add_up(check_rule):
    layer = layers.MaxPooling2D((1, 3), (1, 2), padding="same")
    (gradient,) = check_rule(layer, grid([[0, 9, 0, 1, 1]]), upstream=grid([[1, 10, 100]]))
    assert gradient.ravel().tolist() == [0, 11, 0, 100, 0]


def test_padding_is_never_the_largest(check_rule):
    layer = layers.MaxPooling2D(3, 1, padding="same")
    (gradient,) = check_rule(
        layer, np.full((1, 2, 2, 1), -7, np.float32), upstream=grid([[1, 2], [3, 4]])
    )
    assert gradient[0, ..., 0].tolist() == [[10, 0], [0, 0]]


@settings(deadline=None, max_examples=40)
@given(**SHAPES, seed=st.integers(0, 99))
def test_average(check_rule, size, pool_size, strides, padding, seed):
    layer = layers.AveragePooling2D(pool_size, strides, padding)
    check_rule(layer, maps(size, seed=seed))


@settings(deadline=None, max_examples=60)
@given(**SHAPES, values=st.integers(1, 4), seed=st.integers(0, 99))
def test_maximum_with_equal_cells(check_rule, size, pool_size, strides, padding, values, seed):
    layer = layers.MaxPooling2D(pool_size, strides, padding)
    check_rule(layer, maps(size, values, seed))


@settings(deadline=None, max_examples=25)
@given(size=st.tuples(st.integers(1, 7), st.integers(1, 7)), data=st.data())
def test_adaptive_average(check_rule, size, data):
    output = tuple(data.draw(st.integers(1, side)) for side in size)
    check_rule(layers.AdaptiveAveragePooling2D(output), maps(size))


@pytest.mark.parametrize(("size", "output"), [((6, 4), (3, 2)), ((4, 6), (4, 2))])
@pytest.mark.parametrize("values", [None, 1, 2])
def test_adaptive_maximum(check_rule, size, output, values):
    check_rule(layers.AdaptiveMaxPooling2D(output), maps(size, values))


def test_adaptive_maximum_of_uneven_windows_is_refused(build_model, check_head):
    with pytest.raises(
        ValueError, match=r"output size \(4, 3\) does not divide its input's \(6, 6\)"
    ):
        check_head(build_model(layers.AdaptiveMaxPooling2D((4, 3))))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: ops.max_pool(x, 2),
        lambda x: ops.max_pool(x, (3, 2), strides=1, padding="same"),
        lambda x: ops.average_pool(x, 3, strides=2, padding="same"),
    ],
)
def test_operations(function, build_model, check_head):
    check_head(build_model(function))


def test_equal_cells_are_treated_alike_in_a_graph():
    # TensorFlow may use another kernel there.
    layer = layers.MaxPooling2D(3, 2, padding="same")
    x = tf.constant(maps((7, 6), 2))

    @tf.function(autograph=False)
    def reference(x):
        return tf.gradients(layer(x), x)[0]

    y, pullback = max_pool(layer, x)
    np.testing.assert_array_equal(pullback(tf.ones_like(y))[0], reference(x))
