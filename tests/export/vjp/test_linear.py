"""Gradients through dense layers and Einstein sums."""

import numpy as np
import pytest
from keras import layers, ops

from export.vjp.linear import explicit

RNG = np.random.default_rng(0)
TOKENS = RNG.normal(size=(2, 5, 4)).astype(np.float32)


def test_dense_exactly(check_rule):
    layer = layers.Dense(2)
    layer.build((None, 3))
    layer.set_weights(
        [np.array([[1, 2], [3, 4], [5, 6]], np.float32), np.array([1, -1], np.float32)]
    )
    (gradient,) = check_rule(layer, np.ones((1, 3), np.float32), upstream=np.float32([[1, 10]]))
    assert gradient.tolist() == [[21, 43, 65]]


@pytest.mark.parametrize("x", [TOKENS[:, 0], TOKENS, TOKENS[:, None]], ids=["2d", "3d", "4d"])
@pytest.mark.parametrize("activation", [None, "relu", "gelu", "softmax"])
def test_dense_of_any_rank(x, activation, randomise, check_rule):
    layer = layers.Dense(3, activation=activation)
    layer.build(x.shape)
    check_rule(randomise(layer), x - 0.2)
    check_rule(layers.Dense(3, activation=activation, use_bias=False), x)


@pytest.mark.parametrize(
    ("equation", "output_shape", "bias_axes"),
    [
        ("abc,cde->abde", (None, 2, 3), "de"),
        ("abc,cd->abd", (None, 6), None),
        ("abc,bcd->ad", (6,), "d"),
        ("...x,xy->...y", (5, 6), "y"),
        ("...bc,bcd->...bd", (5, 6), "bd"),
    ],
)
def test_einsum_dense(equation, output_shape, bias_axes, randomise, check_rule):
    layer = layers.EinsumDense(equation, output_shape, bias_axes=bias_axes, activation="tanh")
    layer.build(TOKENS.shape)
    check_rule(randomise(layer), TOKENS / 5)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: ops.einsum("bhwc,bhvc->bhwv", x, x * 2.0),
        lambda x: ops.einsum("...c,cd->...d", x, np.eye(4, 2, dtype=np.float32)),
        lambda x: ops.matmul(x, ops.transpose(x, (0, 1, 3, 2))),
        lambda x: ops.matmul(np.ones((1, 5, 6), np.float32), x),
        lambda x: x @ np.arange(8, dtype=np.float32).reshape(4, 2),
    ],
)
def test_operations(function, build_model, check_head):
    check_head(build_model(function))


def test_dots_become_letters():
    assert explicit("...ab,bc->...ac", 4) == "deab,bc->deac"
    assert explicit("ab,bc->ac", 2) == "ab,bc->ac"


@pytest.mark.parametrize(
    ("equation", "operands"),
    [("bhwc->bc", 1), ("bhwc,hw->bhw", 2), ("bhww,bhwv->bhv", 2), ("bhwc,bhvc", 2)],
)
def test_sums_that_are_no_products_are_refused(equation, operands, build_model, check_head):
    def function(x):
        y = x[:, :, :4] if "ww" in equation else x
        others = {"hw": np.ones((6, 6), np.float32)}.get(equation[5:7], y)
        return ops.einsum(equation, *[y, others][:operands])

    with pytest.raises(ValueError, match=r"'einsum.*' \(Einsum\).*(its equation|operands)"):
        check_head(build_model(function))


def test_a_vector_as_factor_is_refused(build_model, check_head):
    with pytest.raises(ValueError, match="one of its factors is a vector"):
        check_head(build_model(lambda x: ops.matmul(x, np.ones(4, np.float32))))
