"""Gradients through joins of tensors, with broadcasting and ties."""

import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from export.vjp.arithmetic import summed_to

RNG = np.random.default_rng(0)
A, B, C = (RNG.integers(-2, 3, (2, 3, 4)).astype(np.float32) for _ in range(3))


@pytest.mark.parametrize(
    "layer",
    [layers.Add(), layers.Multiply(), layers.Average(), layers.Maximum(), layers.Minimum()],
    ids=lambda layer: layer.name,
)
def test_layers_of_three_tensors_with_equal_values(layer, check_rule):
    check_rule(layer, [A, B, C])
    check_rule(layer, [A, B[:, :1], C[:, :, :1]])


def test_a_tie_goes_to_the_first(check_rule):
    x = np.ones((1, 2), np.float32)
    gradients = check_rule(layers.Maximum(), [x, x, x - 1], upstream=np.float32([[3, 4]]))
    assert [g.tolist() for g in gradients] == [[[3, 4]], [[0, 0]], [[0, 0]]]


def test_subtraction_and_concatenation(check_rule):
    check_rule(layers.Subtract(), [A, B])
    check_rule(layers.Concatenate(), [A, B[..., :1], C])
    check_rule(layers.Concatenate(axis=1), [A, B[:, :2], C])


@pytest.mark.parametrize(
    "function",
    [
        lambda x: 2 * x + 1 - x / 4,
        lambda x: 1.0 / (x * x + 1),
        lambda x: ops.true_divide(x, ops.square(x) + 2.0),
        lambda x: 3.0 - x * np.arange(4, dtype=np.float32),
        lambda x: ops.maximum(x, 0.1) + ops.minimum(-0.2, x),
        lambda x: x * ops.mean(x, axis=(1, 2), keepdims=True),
        lambda x: x[:, 0, 0] + x[:, 1, 1] * ops.mean(x, axis=(1, 2)),
        lambda x: x - ops.max(x, axis=-1, keepdims=True),
        lambda x: ops.concatenate([x, x[:, :, :2] * 2], axis=2),
    ],
)
def test_operations(function, build_model, check_head):
    check_head(build_model(function))


def test_broadcast_gradients_are_summed():
    gradient = tf.ones([2, 3, 4])
    assert summed_to(tf.ones([3, 4]), gradient).numpy().tolist() == [[2] * 4] * 3
    assert summed_to(tf.ones([2, 1, 4]), gradient).numpy().tolist() == [[[3] * 4]] * 2
    assert summed_to(tf.ones([]), gradient).numpy() == 24


def test_tensors_of_other_ranks_are_refused(build_model, check_head):
    def function(x):
        return layers.Add()([x, layers.GlobalAveragePooling2D()(x)])

    with pytest.raises(ValueError, match=r"\(Add\).*inputs have \[2, 4\] axes"):
        check_head(build_model(function))


def test_concatenation_along_the_batch_is_refused(build_model, check_head):
    with pytest.raises(ValueError, match="along the batch"):
        check_head(build_model(lambda x: ops.concatenate([x, x], axis=0)))
