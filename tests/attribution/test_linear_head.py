"""Which heads count as linear, and where their dense layer is."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from proxy_keras.attribution.linear_head import find_linear_head
from proxy_keras.attribution.target_layer import expose_target
from proxy_keras.graph import FlatClone

LINEAR = {
    "plain": [layers.GlobalAveragePooling2D, lambda: layers.Dense(3, name="top")],
    "dropouts": [
        lambda: layers.SpatialDropout2D(0.2),
        lambda: layers.GlobalAveragePooling2D(keepdims=True),
        lambda: layers.Dropout(0.2),
        layers.Flatten,
        layers.Identity,
        lambda: layers.Dense(3, name="top", use_bias=False),
        lambda: layers.Activation("softmax"),
    ],
    "mean": [lambda: lambda x: ops.mean(x, axis=(1, 2)), lambda: layers.Dense(3, name="top")],
    "mean, negative axes": [
        lambda: lambda x: ops.mean(x, axis=[-3, -2], keepdims=True),
        lambda: lambda x: ops.squeeze(x, axis=(1, 2)),
        lambda: layers.Dense(3, name="top", activation="softmax"),
    ],
    "pointwise convolution": [
        lambda: layers.AveragePooling2D(4),
        lambda: layers.Conv2D(3, 1, name="top"),
        lambda: layers.Reshape((3,)),
        lambda: layers.Softmax(),
    ],
    "adaptive pooling": [
        lambda: layers.AdaptiveAveragePooling2D(1),
        layers.Flatten,
        lambda: layers.Dense(3, name="top"),
    ],
}
OTHER = {
    "flatten": [layers.Flatten, lambda: layers.Dense(3)],
    "maximum": [layers.GlobalMaxPooling2D, lambda: layers.Dense(3)],
    "two dense layers": [
        layers.GlobalAveragePooling2D,
        lambda: layers.Dense(5, activation="relu"),
        lambda: layers.Dense(3),
    ],
    "activation": [layers.GlobalAveragePooling2D, layers.ReLU, lambda: layers.Dense(3)],
    "normalisation": [
        layers.GlobalAveragePooling2D,
        layers.BatchNormalization,
        lambda: layers.Dense(3),
    ],
    "window that leaves cells out": [
        lambda: layers.AveragePooling2D(3),
        layers.Flatten,
        lambda: layers.Dense(3),
    ],
    "mean over rows": [lambda: lambda x: ops.mean(x, axis=1), layers.Flatten]
    + [lambda: layers.Dense(3)],
    "mean over rows and channels": [
        lambda: lambda x: ops.mean(x, axis=(1, 3)),
        lambda: layers.Dense(3),
    ],
    "mean of all": [
        lambda: lambda x: ops.mean(x, axis=(1, 2, 3), keepdims=True),
        layers.Flatten,
        lambda: layers.Dense(3),
    ],
    "nonlinear output": [
        layers.GlobalAveragePooling2D,
        lambda: layers.Dense(3, activation="tanh"),
    ],
    "no dense layer": [layers.GlobalAveragePooling2D],
}


def build(parts):
    image = keras.Input((8, 8, 3))
    x = layers.Conv2D(6, 3, strides=2, padding="same", activation="relu", name="last")(image)
    for make in parts:
        x = make()(x)
    return keras.Model(image, x)


def head_of(model, target_layer="last"):
    flat = FlatClone(model)
    _, target = expose_target(flat, target_layer)
    return find_linear_head(flat, target)


@pytest.mark.parametrize("parts", LINEAR.values(), ids=LINEAR)
def test_logits_are_the_mean_activation_times_the_kernel(parts):
    model = build(parts)
    for weight in model.weights:
        weight.assign(np.random.default_rng(0).normal(size=weight.shape))
    images = np.random.default_rng(1).normal(size=(4, 8, 8, 3)).astype(np.float32)
    head = head_of(model)
    assert head.layer.name == "top"
    last = keras.Model(model.input, model.get_layer("last").output)(images)
    means = np.asarray(last).mean(axis=(1, 2))
    expected = means @ np.asarray(head.kernel) + np.asarray(head.bias)
    np.testing.assert_allclose(FlatClone(model).model(images), expected, atol=1e-5)


@pytest.mark.parametrize("parts", OTHER.values(), ids=OTHER)
def test_other_heads_are_none(parts):
    assert head_of(build(parts)) is None


def test_layers_after_the_target_make_it_another_head():
    image = keras.Input((8, 8, 3))
    x = layers.Conv2D(6, 3, activation="relu", name="early")(image)
    x = layers.Conv2D(6, 3, activation="relu", name="last")(x)
    model = keras.Model(image, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))
    assert head_of(model) is not None
    assert head_of(model, "early") is None


def test_a_second_branch_makes_it_another_head():
    image = keras.Input((8, 8, 3))
    x = layers.Conv2D(6, 3, activation="relu", name="last")(image)
    x = layers.GlobalAveragePooling2D()(x) + layers.GlobalMaxPooling2D()(x)
    assert head_of(keras.Model(image, layers.Dense(3)(x))) is None


def test_transformers_have_none(build_vit):
    assert head_of(build_vit(), None) is None


def test_the_layer_is_the_copy_in_a_nested_model(build_cnn):
    model = build_cnn()
    nested = keras.Sequential([keras.Input((16, 16, 3)), model, layers.Identity()])
    flat = FlatClone(nested)
    _, target = expose_target(flat, None)
    head = find_linear_head(flat, target)
    assert flat.tensor("top")._keras_history.operation is head.layer
    np.testing.assert_array_equal(head.kernel, model.get_layer("top").kernel)
    model.get_layer("top").kernel.assign(np.ones((12, 4)))
    flat.refresh()
    np.testing.assert_array_equal(head.kernel, np.ones((12, 4)))
