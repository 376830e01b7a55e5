"""Gradients through what sums up whole axes."""

import numpy as np
import pytest
from keras import layers, ops

X = np.random.default_rng(0).integers(0, 3, (2, 3, 4, 5)).astype(np.float32)


@pytest.mark.parametrize("keepdims", [True, False])
@pytest.mark.parametrize("kind", [layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D])
def test_global_pooling_of_maps(kind, keepdims, check_rule):
    check_rule(kind(keepdims=keepdims), X)


@pytest.mark.parametrize("kind", [layers.GlobalAveragePooling1D, layers.GlobalMaxPooling1D])
def test_global_pooling_of_tokens(kind, check_rule):
    check_rule(kind(), X[:, 0])


def test_equal_largest_cells_share(check_rule):
    x = np.array([2, 5, 5, 1], np.float32).reshape(1, 2, 2, 1)
    (gradient,) = check_rule(layers.GlobalMaxPooling2D(), x, upstream=np.float32([[6]]))
    assert gradient.ravel().tolist() == [0, 3, 3, 0]


@pytest.mark.parametrize(
    "function",
    [
        lambda x: ops.mean(x, axis=(1, 2)),
        lambda x: ops.mean(x, axis=-1, keepdims=True),
        lambda x: ops.sum(x, axis=[2]),
        lambda x: ops.max(x, axis=(2, 1)),
        lambda x: ops.max(x, axis=1, keepdims=True),
    ],
)
def test_operations(function, build_model, check_head):
    check_head(build_model(function))


@pytest.mark.parametrize("axis", [None, 0, (0, 1)])
def test_reducing_the_batch_is_refused(axis, build_model, check_head):
    def function(x):
        return x - ops.mean(x, axis=axis, keepdims=True)

    with pytest.raises(ValueError, match=r"\(Mean\).*it reduces over the batch"):
        check_head(build_model(function))


def test_an_initial_maximum_is_refused(build_model, check_head):
    with pytest.raises(ValueError, match="initial=2.0"):
        check_head(build_model(lambda x: ops.max(x, axis=1, initial=2.0)))
