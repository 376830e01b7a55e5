"""Networks of `keras.applications`, and grouped convolutions, are exported."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from keras.src.applications.convnext import ConvNeXt

from export.exporter import export_model
from export.vjp.registry import known_kinds
from tests.commands import ROOT


def _classifier(*parts):
    keras.utils.set_random_seed(0)
    x = images = keras.Input((16, 16, 3))
    x = layers.Conv2D(8, 3, padding="same", activation="relu")(x)
    for part in parts:
        x = part(x)
    return keras.Model(images, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))


@pytest.mark.parametrize(
    "options",
    [
        {"groups": 2},
        {"groups": 4, "strides": 2, "padding": "same"},
        {"groups": 8, "dilation_rate": 2, "padding": "same"},
    ],
)
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_grouped_convolutions_are_exported(options, precision, make_source, tmp_path):
    # Keras compiles them with XLA, a function that tf2onnx cannot convert.
    model = _classifier(layers.Conv2D(16, 3, activation="relu", **options), layers.Conv2D(8, 1))
    exported = export_model(make_source(model), tmp_path / "a.onnx", precision=precision)
    assert exported.parity.is_passed
    assert not tf.config.functions_run_eagerly()


def test_so_are_those_in_layers_of_the_user(make_source, tmp_path):
    class Block(layers.Layer):
        def __init__(self):
            super().__init__(name="block")
            self.conv = layers.Conv2D(8, 3, groups=2)

        def build(self, shape):
            self.conv.build(shape)

        @tf.function(jit_compile=True)
        def _doubled(self, x):
            return 2 * x

        def call(self, x):
            return self._doubled(self.conv(x))

    model = _classifier(Block(), layers.Conv2D(8, 1))
    assert export_model(make_source(model), tmp_path / "a.onnx").parity.is_passed


def test_an_operation_that_onnx_lacks_is_named_with_its_layer(make_source, tmp_path):
    class Strange(layers.Layer):
        def call(self, x):
            return tf.math.lgamma(tf.abs(x) + 1)

    source = make_source(_classifier(Strange(name="strange")))
    with pytest.raises(ValueError, match=r"no operator for Lgamma \(in 'strange'\), which"):
        export_model(source, tmp_path / "a.onnx", explain="none")


@pytest.mark.parametrize("target_layer", [None, "tiny_stage_1_block_0_depthwise_conv"])
def test_a_small_convnext_is_exported(target_layer, make_source, tmp_path):
    keras.utils.set_random_seed(0)
    model = ConvNeXt(
        depths=[1, 1, 1, 1],
        projection_dims=[8, 8, 16, 16],
        include_preprocessing=True,
        weights=None,
        input_shape=(64, 64, 3),
        classes=3,
        classifier_activation=None,
        name="tiny",
        weights_name="tiny",
    )
    for weight in model.weights:
        if weight.name == "variable" or "gamma" in weight.path:
            # The scales of its layers are 1e-6 at first.
            weight.assign(np.full(weight.shape, 0.5))
    source = make_source(model, image_size=(64, 64))
    exported = export_model(source, tmp_path / "a.onnx", target_layer=target_layer)
    assert exported.parity.is_passed


FAMILIES = (
    *(
        "ConvNeXt",
        "DenseNet",
        "EfficientNetB",
        "EfficientNetV2",
        "InceptionResNetV2",
        "InceptionV3",
    ),
    *(
        "InceptionV3",
        "MobileNet",
        "MobileNetV2",
        "MobileNetV3",
        "NASNet",
        "ResNet",
        "VGG",
        "Xception",
    ),
)


def test_the_table_in_the_documentation_has_all_families():
    public = [name for name in dir(keras.applications) if name[0].isupper()]
    assert all(name.startswith(FAMILIES) for name in public)
    document = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
    assert [family for family in FAMILIES if f"| `{family}" not in document] == []


def test_layers_of_applications_have_rules():
    assert {"LayerScale", "StochasticDepth", "CustomScaleLayer"} <= set(known_kinds()[0])
