"""All rules in ONNX: what ONNX Runtime computes is what TensorFlow computes, at any batch size."""

import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from export.vjp import Head
from export.vjp.activations import ACTIVATIONS, activate
from export.vjp.registry import rule_of
from proxy_keras.attribution.target_layer import expose_target
from proxy_keras.graph import FlatClone

SHAPE = (6, 6, 4)


def maps():
    return [
        layers.Dense(5, activation="relu"),
        layers.EinsumDense("abcd,de->abce", (6, 6, 5), bias_axes="e"),
        layers.EinsumDense("...d,de->...e", (6, 6, 5)),
        layers.Conv2D(5, 3),
        layers.Conv2D(5, (3, 2), strides=2, padding="same", activation="silu"),
        layers.Conv2D(5, 3, strides=3),
        layers.Conv2D(5, 3, padding="same", dilation_rate=2),
        layers.Conv2D(6, 3, padding="same", strides=2, groups=2),
        layers.DepthwiseConv2D(3, strides=2, padding="same", depth_multiplier=2),
        layers.DepthwiseConv2D(3, dilation_rate=2),
        layers.SeparableConv2D(5, 3, padding="same"),
        layers.BatchNormalization(),
        layers.BatchNormalization(axis=1, scale=False),
        layers.LayerNormalization(),
        layers.LayerNormalization(axis=(1, 2), center=False),
        layers.Rescaling(2.0, 1.0),
        layers.MaxPooling2D(),
        layers.MaxPooling2D(3, 2, padding="same"),
        layers.MaxPooling2D((2, 3), (1, 2)),
        layers.AveragePooling2D(2),
        layers.AveragePooling2D(3, 2, padding="same"),
        layers.AdaptiveAveragePooling2D((4, 5)),
        layers.AdaptiveMaxPooling2D((3, 2)),
        layers.GlobalAveragePooling2D(),
        layers.GlobalMaxPooling2D(keepdims=True),
        layers.Flatten(),
        layers.Permute((3, 1, 2)),
        layers.ZeroPadding2D(((1, 2), (0, 3))),
        layers.Cropping2D(((1, 2), (0, 1))),
        layers.PReLU(shared_axes=[1, 2]),
        layers.ReLU(max_value=1.0, negative_slope=0.1, threshold=0.2),
        layers.ELU(0.5),
        layers.Softmax(axis=1),
    ]


@pytest.fixture
def with_pullback():
    """A function from a rule and its arguments to [output, *gradients] under a fixed gradient."""

    def run(rule, layer, *arguments):
        output, pullback = rule(layer, *arguments)
        size = output.shape[1:]
        values = np.random.default_rng(3).normal(size=(1, *size)).astype(np.float32)
        batch = tf.shape(tf.nest.flatten(arguments)[0])[0]
        upstream = tf.tile(tf.constant(values), [batch, *[1] * len(size)])
        return [output, *pullback(upstream)]

    return run


@pytest.mark.slow
def test_every_layer_and_activation(randomise, with_pullback, check_converted):
    of_maps, of_tokens = maps(), layers.MultiHeadAttention(2, 3)
    joins = [
        layers.Add(),
        layers.Subtract(),
        layers.Multiply(),
        layers.Average(),
        layers.Maximum(),
        layers.Minimum(),
        layers.Concatenate(),
    ]
    for layer in of_maps:
        layer.build((None, *SHAPE))
        randomise(layer)
    of_tokens.build((None, 36, 4), (None, 36, 4))

    def function(image):
        results = {}
        for layer in of_maps:
            results[layer.name] = with_pullback(rule_of(layer), layer, image)
        for activation in ACTIVATIONS:
            results[activation.__name__] = with_pullback(activate, activation, image)
        for layer in joins:
            results[layer.name] = with_pullback(rule_of(layer), layer, [image, image[:, ::-1]])
        tokens = tf.reshape(image, [-1, 36, 4])
        results["mha"] = with_pullback(rule_of(of_tokens), of_tokens, tokens, tokens[:, :9])
        return {
            f"{name}_{number}": value
            for name, values in results.items()
            for number, value in enumerate(values)
        }

    check_converted(function, SHAPE)


def operations(x):
    y = ops.concatenate([x[:, 1:6:2, ..., :3], x[:, -3:, :, 1:]], axis=-1)
    y = ops.maximum(ops.leaky_relu(y * 2 - 1, 0.1), ops.minimum(y, 0.2) / 3)
    y = y + ops.mean(y, axis=(1, 2), keepdims=True) - ops.max(y, axis=-1, keepdims=True)
    y = ops.matmul(y, ops.swapaxes(y, 2, 3)) + ops.einsum("bhwc,bhvc->bhwv", y, y)
    y = ops.squeeze(ops.expand_dims(ops.max_pool(y, 2, strides=1), 1), 1)
    y = ops.average_pool(ops.transpose(y, (0, 2, 1, 3)), 2, padding="same")
    return ops.sum(ops.clip(y, -0.5, 0.5), axis=1) * ops.gelu(ops.mean(y, axis=1))


def vgg(x):
    return layers.Dense(64, activation="relu")(layers.MaxPooling2D()(x))


def convolutions(x):
    y = layers.BatchNormalization()(layers.Conv2D(4, 3, padding="same", use_bias=False)(x))
    y = layers.ReLU(max_value=6)(layers.Add()([x, y]))
    return layers.Conv2D(8, 3, strides=2, padding="same", activation="gelu")(y)


def test_heads(build_model, randomise, check_converted):
    heads = {}
    for function in (operations, vgg, convolutions):
        flat = FlatClone(randomise(build_model(function, SHAPE)))
        heads[function.__name__] = Head(flat, flat.tensor("target"))

    def traced(x):
        results = {}
        for name, head in heads.items():
            logits, pullback = head(x, [])
            results[f"{name}_logits"] = logits
            results[f"{name}_gradient"] = pullback(logits)
        return results

    check_converted(traced, SHAPE)


def test_a_vision_transformer(build_vit, check_converted):
    flat = FlatClone(build_vit(), inline_blocks=True)
    _, target = expose_target(flat, None)
    head = Head(flat, target)

    def traced(grid):
        # Any token will do as the class token.
        logits, pullback = head(grid, [grid[:, 0, :1]])
        return {"logits": logits, "gradient": pullback(logits)}

    check_converted(traced, (4, 4, 16))
