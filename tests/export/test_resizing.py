"""Resizing in the model is exported with the values of Keras, at any size and precision."""

import keras
import numpy as np
import onnx
import pytest
import tensorflow as tf
from keras import layers

from export.convert import to_onnx
from export.exporter import export_model
from export.reduced_precision import to_fp16
from export.resizing import convertible_resizing
from proxy_keras.graph import FlatClone

INTERPOLATIONS = ["bilinear", "nearest", "bicubic", "lanczos3", "lanczos5", "area"]
RATIOS = [{}, {"crop_to_aspect_ratio": True}, {"pad_to_aspect_ratio": True, "fill_value": 9.0}]


def _model(size, *first):
    keras.utils.set_random_seed(0)
    x = images = keras.Input((*size, 3))
    for layer in first:
        x = layer(x)
    x = layers.Conv2D(4, 16, strides=16, padding="same", activation="relu")(x)
    return keras.Model(images, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))


def _flat_of(resize, size):
    """Return a clone of a model that resizes, and returns one number per class."""
    images = keras.Input((*size, 3))
    x = resize(images)
    return FlatClone(keras.Model(images, layers.Flatten()(x)))


def _images(size, count=2):
    return np.random.default_rng(0).integers(0, 256, (count, *size, 3)).astype(np.float32)


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("ratio", RATIOS, ids=["stretch", "crop", "pad"])
@pytest.mark.parametrize("antialias", [False, True])
def test_the_values_are_those_of_keras(interpolation, ratio, antialias):
    options = {"interpolation": interpolation, "antialias": antialias, **ratio}
    for size, wanted in [((20, 13), (7, 9)), ((7, 12), (10, 10)), ((9, 9), (9, 4))]:
        flat = _flat_of(layers.Resizing(*wanted, **options), size)
        images = _images(size)
        before = flat.model(images)
        with convertible_resizing(flat):
            np.testing.assert_allclose(flat.model(images), before, rtol=1e-5, atol=1e-3)
        np.testing.assert_array_equal(flat.model(images), before)


def test_so_are_those_of_the_operation():
    def resize(images):
        return keras.ops.image.resize(images, (8, 6), "lanczos3", pad_to_aspect_ratio=True)

    flat = _flat_of(resize, (11, 13))
    images = _images((11, 13))
    before = flat.model(images)
    with convertible_resizing(flat):
        np.testing.assert_allclose(flat.model(images), before, rtol=1e-5, atol=1e-3)


def test_the_layer_of_the_user_is_not_changed():
    layer = layers.Resizing(4, 4)
    flat = _flat_of(layer, (8, 8))
    with convertible_resizing(flat):
        assert "call" not in vars(layer)


# 320 * float32(224 / 320) is below 224, and so with a quarter of common sizes.
@pytest.mark.parametrize("sizes", [(320, 224), (300, 224), (97, 224), (500, 299), (64, 17)])
def test_the_size_is_exact(sizes, answers):
    before, after = sizes
    flat = _flat_of(layers.Resizing(after, after), (before, before))

    def function(images):
        return {"logits": flat.model(images)}

    with convertible_resizing(flat):
        converted = to_onnx(function, [], (before, before, 3), "float32")
    images = _images((before, before))
    for model, most in ((converted.model, 1e-3), (to_fp16(converted), 0.5)):
        values = answers(model, images)["logits"]
        assert values.shape == (2, after * after * 3)
        np.testing.assert_allclose(values, flat.model(images), rtol=0, atol=most)


def test_resizing_in_code_of_the_user_has_exact_sizes_too(answers):
    def function(images):
        return {"logits": tf.reshape(tf.image.resize(images, (224, 224)), [-1, 224 * 224 * 3])}

    model = to_onnx(function, [], (320, 320, 3), "float32").model
    images = _images((320, 320), 1)
    expected = function(images)["logits"]
    # ONNX rounds the places of pixels otherwise.
    np.testing.assert_allclose(answers(model, images)["logits"], expected, atol=0.05)


@pytest.mark.parametrize("ratio", RATIOS, ids=["stretch", "crop", "pad"])
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_models_that_resize_are_exported(ratio, precision, make_source, tmp_path):
    # In half precision, 320 * 224 is infinite.
    model = _model((320, 240), layers.Resizing(224, 224, **ratio), layers.Rescaling(1 / 255))
    source = make_source(model, image_size=(320, 240))
    exported = export_model(source, tmp_path / "a.onnx", precision=precision)
    assert exported.parity.is_passed
    assert "If" not in {node.op_type for node in onnx.load(exported.file).graph.node}


def test_resizing_of_features_is_exported(make_source, tmp_path):
    images = keras.Input((64, 64, 3))
    x = layers.Conv2D(4, 3, activation="relu", name="cells")(images)
    x = layers.Conv2D(4, 3, activation="relu")(layers.Resizing(17, 19)(x))
    model = keras.Model(images, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))
    source = make_source(model, image_size=(64, 64))
    assert export_model(source, tmp_path / "a.onnx").parity.is_passed
    with pytest.raises(ValueError, match="'resizing.*' .*Resizing"):
        export_model(source, tmp_path / "b.onnx", target_layer="cells")
