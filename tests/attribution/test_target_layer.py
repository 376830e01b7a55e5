"""Target layers of common architectures."""

import keras
import numpy as np
import pytest
from keras import applications, layers, ops

from proxy_keras.attribution import find_target_layer
from proxy_keras.attribution.target_layer import expose_target
from proxy_keras.graph import FlatClone


def found(model):
    return find_target_layer(FlatClone(model))


def top(x, name="top"):
    return layers.Dense(3, name=name)(x)


@pytest.mark.parametrize(
    ("application", "size", "expected"),
    [
        (applications.VGG16, 32, "block5_conv3"),
        (applications.ResNet50, 64, "conv5_block3_out"),
        (applications.EfficientNetB0, 64, "top_activation"),
        (applications.Xception, 71, "block14_sepconv2_act"),
        pytest.param(applications.DenseNet121, 64, "relu", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("is_nested", [False, True])
def test_keras_applications(application, size, expected, is_nested):
    shape = (size, size, 3)
    if is_nested:
        base = application(weights=None, include_top=False, input_shape=shape)
        model = keras.Sequential(
            [keras.Input(shape), base, layers.GlobalAveragePooling2D(), layers.Dense(3)]
        )
    else:
        model = application(weights=None, classes=3, input_shape=shape)
    assert found(model) == expected


def test_mobilenet_v3_ends_in_an_activation_before_pooling_and_one_cell_convolutions():
    model = applications.MobileNetV3Small(weights=None, classes=3, input_shape=(64, 64, 3))
    flat = FlatClone(model)
    tensor = flat.tensor(find_target_layer(flat))
    assert tuple(tensor.shape) == (None, 2, 2, 576)
    assert isinstance(model.get_layer(find_target_layer(flat)), layers.Activation)


def test_pooling_dropout_and_padding_are_walked_back_over():
    image = keras.Input((16, 16, 3))
    x = layers.Conv2D(4, 3, name="conv")(image)
    x = layers.BatchNormalization()(x)
    x = layers.ReLU(name="act")(x)
    x = layers.SpatialDropout2D(0.1)(x)
    x = layers.ZeroPadding2D()(x)
    x = layers.MaxPooling2D()(x)
    x = layers.Activation("linear")(x)
    model = keras.Model(image, top(layers.Flatten()(x)))
    assert found(model) == "act"


def test_pooling_by_operation_is_walked_back_over():
    image = keras.Input((16, 16, 3))
    x = layers.Conv2D(4, 3, name="conv")(image)
    x = ops.max_pool(x, 2)
    assert found(keras.Model(image, top(ops.mean(x, axis=(1, 2))))) == "conv"


@pytest.mark.parametrize("order", [1, -1])
def test_the_deeper_of_two_branches_is_taken(order):
    image = keras.Input((16, 16, 3))
    early = layers.Conv2D(4, 3, name="early")(image)
    side = layers.Conv2D(4, 3, name="side")(early)
    late = layers.Conv2D(4, 3, name="late")(layers.Conv2D(4, 3, name="middle")(early))
    pooled = [layers.GlobalAveragePooling2D()(x) for x in (late, side)[::order]]
    assert found(keras.Model(image, top(layers.Concatenate()(pooled)))) == "late"


@pytest.mark.parametrize("pooling", ["token", "gap"])
def test_tokens_that_enter_the_last_attention_block(build_vit, pooling):
    flat = FlatClone(build_vit(pooling=pooling))
    name, target = expose_target(flat, None)
    assert name == "transformer_block_1"
    assert tuple(target.shape) == (None, 4, 4, 16)


def test_tokens_of_an_oblong_image_keep_its_proportions(build_vit):
    model = build_vit(height=16, width=48)
    flat = FlatClone(model)
    _, target = expose_target(flat, None)
    assert tuple(target.shape) == (None, 2, 6, 16)
    images = np.random.default_rng(0).normal(size=(2, 16, 48, 3)).astype(np.float32)
    np.testing.assert_allclose(flat.model(images), model(images), atol=1e-5)


def test_tokens_of_a_functional_transformer_are_its_residual_stream():
    image = keras.Input((16, 16, 3))
    x = layers.Reshape((16, 8))(layers.Conv2D(8, 4, strides=4)(image))
    for i in range(2):
        y = layers.LayerNormalization(name=f"norm{i}")(x)
        y = layers.MultiHeadAttention(2, 4, name=f"attend{i}")(y, y)
        x = layers.Add(name=f"attended{i}")([x, y])
        y = layers.Dense(8, activation="gelu")(layers.LayerNormalization()(x))
        x = layers.Add(name=f"block{i}")([x, y])
    model = keras.Model(image, top(layers.GlobalAveragePooling1D()(x)))
    flat = FlatClone(model)
    name, target = expose_target(flat, None)
    assert name == "block0"
    assert tuple(target.shape) == (None, 4, 4, 8)


def test_convolutions_after_attention_win():
    image = keras.Input((16, 16, 3))
    x = layers.Reshape((16, 8))(layers.Conv2D(8, 4, strides=4)(image))
    x = layers.MultiHeadAttention(2, 4)(x, x)
    x = layers.Conv2D(4, 3, padding="same", name="last")(layers.Reshape((4, 4, 8))(x))
    assert found(keras.Model(image, top(layers.GlobalAveragePooling2D()(x)))) == "last"


def test_a_named_layer_is_taken_also_inside_a_nested_model():
    inner = keras.Input((16, 16, 3))
    backbone = keras.Model(inner, layers.Conv2D(4, 3, name="conv")(inner), name="backbone")
    model = keras.Sequential(
        [keras.Input((16, 16, 3)), backbone, layers.ReLU(), layers.Flatten(), layers.Dense(2)]
    )
    for name in ("conv", "backbone/conv"):
        got, target = expose_target(FlatClone(model), name)
        assert got == name
        assert tuple(target.shape) == (None, 14, 14, 4)


def test_a_named_layer_without_cells_is_refused_with_one_that_has(build_cnn):
    with pytest.raises(ValueError, match=r"'top' has output \[B, 4\].*target_layer='relu'"):
        expose_target(FlatClone(build_cnn()), "top")


def test_a_named_layer_with_one_cell_is_refused():
    image = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, name="conv")(image)
    x = layers.GlobalAveragePooling2D(keepdims=True, name="pool")(x)
    model = keras.Model(image, top(layers.Flatten()(x)))
    with pytest.raises(ValueError, match=r"'pool' has output \[B, 1, 1, 4\].*='conv'"):
        expose_target(FlatClone(model), "pool")


def test_tokens_that_fill_no_grid_are_refused():
    image = keras.Input((16, 16, 3))
    x = layers.Reshape((12, 64))(image)
    x = layers.Dense(8, name="tokens")(x)
    x = layers.MultiHeadAttention(2, 4)(x, x)
    model = keras.Model(image, top(layers.GlobalAveragePooling1D()(x)))
    flat = FlatClone(model)
    # 12 = 9 + 3 is taken for a 3 x 3 grid with three class tokens.
    assert tuple(expose_target(flat, None)[1].shape) == (None, 3, 3, 8)
    x = layers.Dense(8, name="tokens")(layers.Reshape((2, 384))(image))
    model = keras.Model(image, top(layers.Flatten()(layers.MultiHeadAttention(2, 4)(x, x))))
    with pytest.raises(ValueError, match=r"'tokens' has output \[B, 2, 8\].*Pass one of"):
        expose_target(FlatClone(model), None)


def test_a_network_without_places_is_refused():
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Rescaling(1 / 255),
            layers.Flatten(),
            layers.Dense(4, name="hidden"),
            layers.Dense(2),
        ]
    )
    with pytest.raises(ValueError, match="No target layer was found.*target_layer=.*hidden"):
        found(model)
