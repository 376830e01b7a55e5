"""Copies of single layers: float32, own weights, same function."""

import random

import keras
import numpy as np
import pytest
from keras import layers, ops

from proxy_keras.graph.float32_copy import (
    BorrowedLayer,
    ReplayedOperation,
    copy_operation,
    quiet_construction,
    weight_pairs,
)


@keras.saving.register_keras_serializable("test_float32_copy")
class Scale(keras.layers.Layer):
    """A layer whose config forgets `factor`, and whose weights are two kinds."""

    def __init__(self, factor=1.0, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor
        self.inner = layers.Dense(3, dtype=self.dtype_policy)

    def build(self, shape):
        self.shift = self.add_weight(shape=(3,), initializer="ones", name="shift")
        self.inner.build(shape)
        self.built = True

    def call(self, x, training=True):
        return self.inner(x) * self.factor + self.shift + (100.0 if training else 0.0)

    def get_config(self):
        return super().get_config()


def copied(layer, x):
    copy = copy_operation(layer, "copy")
    copy(keras.Input(x.shape[1:], dtype="float32"))
    for source, target in weight_pairs(layer, copy):
        target.assign(source)
    return copy


def test_keras_own_layer_is_made_again_in_float32():
    layer = layers.Dense(
        3, activation="relu", dtype="mixed_bfloat16", kernel_regularizer="l2", name="dense"
    )
    x = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)
    layer(x)
    copy = copied(layer, x)
    assert type(copy) is layers.Dense
    assert copy.name == "copy"
    assert copy.dtype_policy.name == "float32"
    assert copy.kernel_regularizer is None
    kernel, bias = layer.get_weights()
    np.testing.assert_allclose(copy(x), np.maximum(x @ kernel + bias, 0), atol=1e-6)


def test_nested_policies_become_float32():
    layer = layers.TimeDistributed(layers.Dense(2, dtype="mixed_float16"), dtype="mixed_float16")
    x = np.ones((1, 3, 2), np.float32)
    layer(x)
    copy = copied(layer, x)
    assert {part.compute_dtype for part in copy._flatten_layers()} == {"float32"}


def test_integer_policy_is_kept():
    layer = layers.CategoryEncoding(num_tokens=4, dtype="int32")
    assert copy_operation(layer, "copy").compute_dtype == "int32"


@pytest.mark.parametrize("policy", ["float32", "mixed_float16", "mixed_bfloat16", "bfloat16"])
def test_custom_layer_runs_its_own_code_on_own_weights(policy):
    layer = Scale(factor=3.0, dtype=policy)
    x = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)
    layer(x)
    copy = copied(layer, x)
    assert isinstance(copy, BorrowedLayer)
    kernel, bias = (np.asarray(ops.cast(w, "float32")) for w in layer.inner.weights)
    expected = 3.0 * (x @ kernel + bias) + 1.0
    np.testing.assert_allclose(copy(x), expected, atol=1e-5)
    # The original's weights may move on; the copy's stay.
    layer.shift.assign(layer.shift + 5.0)
    np.testing.assert_allclose(copy(x), expected, atol=1e-5)
    assert layer.compute_dtype == keras.dtype_policies.get(policy).compute_dtype


def test_borrowed_layer_never_runs_in_training_mode():
    layer = Scale()
    x = np.ones((1, 3), np.float32)
    layer(x)
    copy = copied(layer, x)
    assert float(np.max(copy(x, training=True))) < 50


def test_borrowed_layer_shares_no_weight_and_freezing_does_not_mix_them_up():
    layer = Scale(factor=2.0)
    x = np.ones((1, 3), np.float32)
    expected = layer(x, training=False)
    copy = copied(layer, x)
    assert not {id(w) for w in copy.weights} & {id(w) for w in layer.weights}
    layer.trainable = False
    np.testing.assert_allclose(copy(x), expected, atol=1e-6)


@pytest.mark.parametrize(
    "layer",
    [
        layers.Dense(2, activation=lambda x: x * x),
        layers.Lambda(lambda x: x * x),
        layers.TimeDistributed(layers.Lambda(lambda x: x * x)),
    ],
    ids=["activation", "lambda", "wrapped lambda"],
)
def test_functions_are_called_and_never_serialised(layer):
    x = np.full((1, 2, 2), 3.0, np.float32)
    expected = layer(x)
    copy = copied(layer, x)
    assert isinstance(copy, BorrowedLayer)
    np.testing.assert_allclose(copy(x), expected, atol=1e-6)


def test_operation_is_replayed_without_a_node_on_it():
    x = keras.Input((2,))
    operation = ops.add(x, 1.0)._keras_history.operation
    copy = copy_operation(operation, "again")
    copy(x, 1.0)
    assert isinstance(copy, ReplayedOperation)
    assert copy.original is operation
    assert len(operation._inbound_nodes) == 1


def test_cast_to_half_precision_becomes_a_cast_to_float32():
    x = keras.Input((2,))
    operation = ops.cast(x, "float16")._keras_history.operation
    assert copy_operation(operation, "cast")(x).dtype == "float32"
    kept = ops.cast(x, "int32")._keras_history.operation
    assert copy_operation(kept, "cast")(x).dtype == "int32"


def test_quantised_layer_is_refused():
    layer = layers.Dense(2)
    layer.build((None, 3))
    layer.quantize("int8")
    copy = copy_operation(layer, "copy")
    copy.build((None, 3))
    with pytest.raises(ValueError, match="before quantising"):
        weight_pairs(layer, copy)


def test_construction_leaves_random_state_and_policy_alone():
    keras.config.set_dtype_policy("mixed_bfloat16")
    before = random.getstate()
    with quiet_construction():
        layer = layers.Dropout(0.5)
        assert layer.compute_dtype == "float32"
        layers.Dense(2).build((None, 2))
    assert random.getstate() == before
    assert keras.config.dtype_policy().name == "mixed_bfloat16"
