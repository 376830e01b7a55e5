"""Gradients through convolutions of all shapes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

SHAPES = {
    "size": st.tuples(st.integers(5, 8), st.integers(5, 8)),
    "kernel": st.tuples(st.integers(1, 3), st.integers(1, 3)),
    "padding": st.sampled_from(["same", "valid"]),
    "steps": st.sampled_from(
        [((1, 1), (1, 1)), ((2, 2), (1, 1)), ((3, 2), (1, 1)), ((1, 1), (2, 1))]
    ),
}
SQUARE = {
    **SHAPES,
    "steps": st.sampled_from([((1, 1), (1, 1)), ((2, 2), (1, 1)), ((1, 1), (2, 2))]),
}


def maps(size, depth=3):
    return np.random.default_rng(0).normal(size=(2, *size, depth)).astype(np.float32)


def test_convolution_exactly(check_rule):
    layer = layers.Conv2D(1, (1, 2), use_bias=False)
    layer.build((None, 1, 3, 1))
    layer.set_weights([np.array([2, 5], np.float32).reshape(1, 2, 1, 1)])
    upstream = np.array([1, 10], np.float32).reshape(1, 1, 2, 1)
    (gradient,) = check_rule(layer, maps((1, 3), 1)[:1], upstream=upstream)
    assert gradient.ravel().tolist() == [2, 5 + 20, 50]


@settings(deadline=None, max_examples=30)
@given(**SHAPES)
def test_convolution(check_rule, size, kernel, padding, steps):
    strides, dilation = steps
    check_rule(layers.Conv2D(2, kernel, strides, padding, dilation_rate=dilation), maps(size))


@settings(deadline=None, max_examples=30)
@given(**SQUARE, multiplier=st.integers(1, 2))
def test_depthwise_and_separable_convolution(check_rule, size, kernel, padding, steps, multiplier):
    strides, dilation = steps
    options = {
        "strides": strides,
        "padding": padding,
        "dilation_rate": dilation,
        "depth_multiplier": multiplier,
    }
    check_rule(layers.DepthwiseConv2D(kernel, **options), maps(size))
    check_rule(layers.SeparableConv2D(4, kernel, **options), maps(size))


@pytest.mark.parametrize(
    "layer",
    [
        layers.Conv2D(4, 3, activation="relu"),
        layers.Conv2D(6, 3, padding="same", groups=2, activation="silu"),
        layers.Conv2D(4, 3, strides=2, groups=4),
        layers.DepthwiseConv2D(3, depth_multiplier=2, activation="relu"),
        layers.DepthwiseConv2D(3, strides=2, dilation_rate=2, padding="same"),
        layers.SeparableConv2D(3, 3, depth_multiplier=2, activation="gelu"),
        layers.SeparableConv2D(3, 3, use_bias=False, padding="same"),
    ],
    ids=lambda layer: layer.name,
)
def test_bias_activation_and_groups(layer, randomise, check_rule):
    layer.build((None, 7, 6, 4))
    randomise(layer)
    layer.weights[-1].assign(-layer.weights[-1])
    check_rule(layer, maps((7, 6), 4))
