"""The walk over whole heads: any graph, and refusals that say which layer it is."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from export.vjp import Head
from export.vjp.registry import known_kinds, rule_of
from proxy_keras.attribution.split_network import Network
from proxy_keras.attribution.target_layer import expose_target
from proxy_keras.graph import FlatClone


def dense(x):
    return layers.Dense(3)(x)


def residual(x):
    y = layers.BatchNormalization()(layers.Conv2D(4, 3, padding="same")(x))
    return layers.ReLU()(layers.Add()([x, y]))


HEADS = {
    "gap": layers.GlobalAveragePooling2D(),
    "gap_dense": lambda x: layers.Dropout(0.3)(
        layers.Dense(16, activation="relu")(layers.GlobalAveragePooling2D()(x))
    ),
    "gap_bn_silu": lambda x: layers.Dense(16, activation="silu")(
        layers.BatchNormalization()(layers.GlobalAveragePooling2D()(x))
    ),
    "pointwise_bn_relu_gap": lambda x: layers.GlobalAveragePooling2D()(
        layers.Activation("relu")(layers.BatchNormalization()(layers.Conv2D(8, 1)(x)))
    ),
    "vgg": lambda x: layers.Dense(32, activation="relu")(
        layers.Flatten()(layers.MaxPooling2D()(x))
    ),
    "global_max": layers.GlobalMaxPooling2D(),
    "convolutions": lambda x: layers.Conv2D(6, 3, 2, activation="gelu")(
        layers.SeparableConv2D(5, 3, padding="same")(layers.ZeroPadding2D(1)(x))
    ),
    "residual": lambda x: layers.GlobalAveragePooling2D()(residual(residual(x))),
    "squeeze_and_excite": lambda x: layers.Multiply()(
        [x, layers.Dense(4, activation="sigmoid")(ops.mean(x, axis=(1, 2), keepdims=True))]
    ),
}


@pytest.mark.parametrize("function", HEADS.values(), ids=HEADS)
def test_heads(function, build_model, check_head):
    check_head(build_model(function))


def test_a_tensor_used_thrice_gets_the_sum_of_its_gradients():
    image = keras.Input((1, 1, 1))
    x = layers.Identity(name="target")(image)
    square = x * x
    logits = layers.Flatten()(layers.Concatenate()([square + 3 * square, x + square * x]))
    flat = FlatClone(keras.Model(image, logits))
    _, pullback = Head(flat, flat.tensor("target"))(tf.fill([2, 1, 1, 1], 5.0), [])
    # d 4x^2 = 8x, d (x + x^3) = 1 + 3x^2
    gradients = pullback(tf.constant([[1.0, 0.0], [1.0, 10.0]]))
    assert gradients.numpy().ravel().tolist() == [40, 40 + 760]


def test_a_shared_layer_is_passed_as_often_as_it_is_called(build_model, check_head):
    shared = layers.Conv2D(4, 3, padding="same", activation="tanh")
    check_head(build_model(lambda x: shared(shared(x) + shared(x * 0.5))))


def test_branches_that_miss_the_target_are_given():
    image = keras.Input((6, 6, 3))
    stem = layers.Conv2D(4, 3, padding="same", name="stem")(image)
    target = layers.Conv2D(4, 3, padding="same", name="target")(stem)
    x = layers.Add()([stem, target])
    logits = layers.Dense(3)(layers.Concatenate()([x[:, 0, 0], ops.mean(image, axis=(1, 2))]))
    flat = FlatClone(keras.Model(image, logits))
    tensor = flat.tensor("target")
    head, network = Head(flat, tensor), Network(flat, tensor)
    images = np.random.default_rng(0).normal(size=(2, 6, 6, 3)).astype(np.float32)
    activations, rest = network.run_features(images)
    assert len(rest) == 2
    answer, pullback = head(activations, rest)
    np.testing.assert_allclose(answer, flat.model(images), rtol=1e-5, atol=1e-6)
    with tf.GradientTape() as tape:
        tape.watch(activations)
        expected = network.run_head(activations, rest)
    np.testing.assert_allclose(
        pullback(tf.ones_like(answer)), tape.gradient(expected, activations), atol=1e-6
    )


def test_weights_are_those_of_the_call(build_model):
    model = build_model(layers.GlobalAveragePooling2D())
    flat = FlatClone(model)
    head = Head(flat, flat.tensor("target"))
    x = tf.ones([1, 6, 6, 4])
    model.get_layer("top").kernel.assign(tf.ones([4, 3]))
    flat.refresh()
    logits, pullback = head(x, [])
    assert logits.numpy().tolist() == [[4, 4, 4]]
    np.testing.assert_allclose(pullback(logits), np.full((1, 6, 6, 4), 12 / 36), rtol=1e-6)


@pytest.mark.parametrize("pooling", ["token", "gap"])
def test_a_vision_transformer_with_its_blocks_inlined(pooling, build_vit):
    flat = FlatClone(build_vit(pooling), inline_blocks=True)
    name, tensor = expose_target(flat, None)
    assert name == "transformer_block_1"
    head, network = Head(flat, tensor), Network(flat, tensor)
    images = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype(np.float32)
    activations, rest = network.run_features(images)
    with tf.GradientTape() as tape:
        tape.watch(activations)
        expected = network.run_head(activations, rest)
    upstream = tf.constant(np.random.default_rng(1).normal(size=(2, 4)), tf.float32)
    logits, pullback = head(activations, rest)
    np.testing.assert_allclose(logits, expected, rtol=1e-5)
    reference = tape.gradient(expected, activations, upstream).numpy()
    scale = abs(reference).max()
    np.testing.assert_allclose(pullback(upstream), reference, rtol=0, atol=1e-5 * scale)


def test_a_block_that_is_not_inlined_is_refused(build_vit):
    flat = FlatClone(build_vit())
    _, tensor = expose_target(flat, None)
    with pytest.raises(ValueError, match=r"'transformer_block_2' \(ViTEncoderBlock\)"):
        Head(flat, tensor)


@keras.saving.register_keras_serializable()
class OwnDense(layers.Dense):
    pass


def own_activation(x):
    return x


@pytest.mark.parametrize(
    ("function", "kind", "reason"),
    [
        (
            layers.UpSampling2D(name="odd"),
            "UpSampling2D",
            "no rule. Layers with a rule: Activation",
        ),
        (OwnDense(2, name="odd"), "OwnDense", "no rule"),
        (layers.Dense(2, activation=own_activation, name="odd"), "Dense", "custom code"),
        (layers.Dense(2, activation="celu", name="odd"), "Dense", "its activation is celu"),
        (
            layers.AveragePooling2D(2, data_format="channels_first", name="odd"),
            "AveragePooling2D",
            "data_format is channels_first",
        ),
        (lambda x: layers.Dropout(0.5, name="odd")(x, training=True), "Dropout", "training"),
    ],
)
def test_refusals_name_the_layer_and_the_way_out(function, kind, reason, build_model, check_head):
    with pytest.raises(ValueError) as error:
        check_head(build_model(function))
    message = str(error.value)
    assert f"'odd' ({kind})" in message
    assert reason in message
    assert "target layer 'target'" in message
    assert message.endswith("Choose a --target-layer after it, or --explain none.")


def test_an_operation_of_the_users_that_is_named_like_one_of_keras_is_refused(build_model):
    class Add(keras.Operation):
        def call(self, x):
            return x

        def compute_output_spec(self, x):
            return keras.KerasTensor(x.shape, x.dtype)

    flat = FlatClone(build_model(Add()))
    with pytest.raises(ValueError, match=r"\(Add\).*custom code"):
        Head(flat, flat.tensor("target"))


def test_images_of_any_size_are_refused():
    image = keras.Input((None, None, 3))
    x = layers.Conv2D(4, 3, name="target")(image)
    flat = FlatClone(keras.Model(image, dense(layers.GlobalAveragePooling2D()(x))))
    with pytest.raises(ValueError, match="no fixed size; build the model for one image size"):
        Head(flat, flat.tensor("target"))


def test_a_target_after_which_nothing_comes_is_refused(build_model):
    flat = FlatClone(build_model(layers.GlobalAveragePooling2D()))
    with pytest.raises(ValueError, match="do not depend"):
        Head(flat, flat.tensor("top"))


def test_kinds_are_listed_by_name():
    kinds, operations = known_kinds()
    assert {"Conv2D", "Dense", "MultiHeadAttention", "PReLU"} <= set(kinds)
    assert {"Add", "GetItem", "Relu"} <= set(operations)
    assert rule_of(layers.LSTM(2)) is None
