"""Deconvnet and guided backpropagation on networks whose values are computed by hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from proxy_keras.attribution import Explainer

# Of the image (1, 2, 0) the first hidden layer is (3, 1, -1) before its ReLU, the second (2, -1).
IMAGE = np.array([1.0, 2.0, 0.0], np.float32).reshape(1, 1, 3, 1)
FIRST = np.array([[1, -1, 1], [1, 1, -1], [0, 0, 0]], np.float32)
SECOND = np.array([[1, -1], [-1, 2], [1, 1]], np.float32)
THIRD = np.array([[2, 0], [1, 0]], np.float32)


def dense(kernel, x, activation=None):
    """`x` through a dense layer with this kernel."""
    layer = layers.Dense(np.shape(kernel)[1], use_bias=False, activation=activation)
    result = layer(x)
    layer.set_weights([np.asarray(kernel, np.float32)])
    return result


def three_layers(relu):
    """Three dense layers with two ReLUs, written in one of several forms."""
    image = keras.Input((1, 3, 1))
    x = layers.Flatten()(image)
    for kernel in (FIRST, SECOND):
        if relu == "fused":
            x = dense(kernel, x, "relu")
        else:
            x = relu(dense(kernel, x))
    return keras.Model(image, dense(THIRD, x))


WAYS = {
    "fused": lambda: "fused",
    "layer": lambda: lambda x: layers.ReLU()(x),
    "activation": lambda: lambda x: layers.Activation("relu")(x),
    "ops": lambda: lambda x: ops.relu(x),
    "relu6": lambda: lambda x: layers.ReLU(max_value=6.0)(x),
    "max_value": lambda: lambda x: layers.ReLU(max_value=5.0)(x),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("method", "expected"),
    [
        # (2, 1) arrives at the second ReLU, whose second unit is inactive: (2, 0). Through SECOND
        # (2, -2, 2), whose third unit is inactive: (2, -2, 0). Through FIRST (4, 0, 0).
        ("saliency", [1, 0, 0]),
        # (2, 0), then (2, -2, 2), only the first of which is active and positive: (2, 2, 0).
        ("guided_backprop", [1, 1, 0]),
        # (2, 1), then (1, 0, 3), all passed on: (4, -2, 0).
        ("deconvnet", [1, 0.5, 0]),
    ],
)
def test_three_layers_by_hand(way, method, expected):
    heat = Explainer(three_layers(WAYS[way]()), method).heatmaps(IMAGE)
    np.testing.assert_allclose(heat[0, 0], expected, atol=1e-6)


def one_hidden(activation, weights):
    image = keras.Input((1, 3, 1))
    x = activation(dense(FIRST, layers.Flatten()(image)))
    return keras.Model(image, dense(np.stack([weights, np.zeros(3)], axis=1), x))


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        # (2, -1, 1) without its negative part and by the slopes (1, 1, 1/2): (2.5, 1.5, 0).
        ("guided_backprop", [1, 0.6, 0]),
        # (2, 0, 1): (3, 1, 0).
        ("deconvnet", [1, 1 / 3, 0]),
    ],
)
def test_a_leaky_relu_passes_positive_gradients(method, expected):
    model = one_hidden(layers.LeakyReLU(negative_slope=0.5), [2, -1, 1])
    heat = Explainer(model, method, explain=lambda logits: logits[:, 0]).heatmaps(IMAGE)
    np.testing.assert_allclose(heat[0, 0], expected, atol=1e-6)


@pytest.mark.parametrize("largest", [2.0, 2.5])
def test_guided_backprop_stops_where_a_relu_is_saturated(largest):
    # (3, 1, -1): the first unit is above the largest value, the third below 0.
    model = one_hidden(layers.ReLU(max_value=largest), [5, 1, 1])
    heat = Explainer(model, "guided_backprop").heatmaps(IMAGE)
    np.testing.assert_allclose(heat[0, 0], [1, 1, 0], atol=1e-6)


def test_other_operations_have_their_true_gradient(images):
    image = keras.Input((16, 16, 3))
    x = layers.Conv2D(4, 3, activation="swish")(layers.Rescaling(1 / 64)(image))
    x = layers.MaxPooling2D()(layers.BatchNormalization()(x))
    x = layers.Conv2D(4, 3, groups=2)(x)
    x = layers.Dense(4, activation="softplus")(layers.Flatten()(x))
    # An active ReLU does not change positive gradients.
    x = layers.ReLU()(x)
    x = layers.Dense(3, kernel_initializer=keras.initializers.RandomUniform(0, 1, seed=1))(x)
    model = keras.Model(image, x)
    expected = Explainer(model, "saliency").heatmaps(images)
    for method in ("guided_backprop", "deconvnet"):
        np.testing.assert_allclose(Explainer(model, method).heatmaps(images), expected, atol=1e-5)


@pytest.mark.parametrize("method", ["guided_backprop", "deconvnet"])
def test_rectifiers_inside_a_nested_model_count(method):
    flat = three_layers("fused")
    body = keras.Model(flat.input, flat.layers[-2].output)
    image = keras.Input((1, 3, 1))
    nested = keras.Model(image, dense(THIRD, body(image)))
    np.testing.assert_array_equal(
        Explainer(nested, method).heatmaps(IMAGE), Explainer(flat, method).heatmaps(IMAGE)
    )


@pytest.mark.parametrize("method", ["guided_backprop", "deconvnet", "guided_grad_cam"])
@pytest.mark.parametrize("activation", ["gelu", "swish", "elu", None])
def test_a_network_without_relu_is_refused(images, method, activation):
    image = keras.Input((16, 16, 3))
    x = layers.Conv2D(4, 3, activation=activation)(image)
    model = keras.Model(image, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))
    with pytest.raises(ValueError, match="without any, of operations.*method='saliency'"):
        Explainer(model, method).heatmaps(images)


class CompiledReLU(layers.Layer):
    @tf.function
    def call(self, x):
        return tf.nn.relu(x)


def test_a_relu_in_a_compiled_function_is_refused_and_not_overlooked(images):
    image = keras.Input((16, 16, 3))
    x = CompiledReLU()(layers.Conv2D(4, 3, activation="relu")(image))
    model = keras.Model(image, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))
    with pytest.raises(ValueError, match="compiled function with a ReLU inside"):
        Explainer(model, "guided_backprop").heatmaps(images)
