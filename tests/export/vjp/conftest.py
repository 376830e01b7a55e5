"""Compares rules, and heads made of them, with TensorFlow's gradient tape and with ONNX Runtime."""

import logging

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
import tensorflow as tf
import tf2onnx
from keras import layers
from onnx import helper, numpy_helper

from export.vjp import Head
from export.vjp.registry import rule_of
from proxy_keras.attribution.split_network import Network
from proxy_keras.graph import FlatClone


def _assert_close(value, expected, name=""):
    expected = np.asarray(expected)
    scale = abs(expected).max()
    np.testing.assert_allclose(value, expected, rtol=0, atol=1e-5 * scale, err_msg=name)


@pytest.fixture(scope="session")
def randomise():
    """A function that gives a layer or model other weights than those it starts with."""

    def draw(layer):
        rng = np.random.default_rng(5)
        for weight in layer.weights:
            if keras.backend.is_float_dtype(weight.dtype):
                weight.assign(rng.uniform(0.2, 1.0, weight.shape))
        return layer

    return draw


@pytest.fixture(scope="session")
def check_rule():
    """A function that checks a layer's rule against the tape, and gives gradients of the inputs."""

    def check(layer, *arguments, upstream=None):
        arguments = tf.nest.map_structure(tf.constant, arguments)
        with tf.GradientTape() as tape:
            tape.watch(tf.nest.flatten(arguments))
            expected = layer(*arguments)
        if upstream is None:
            upstream = np.random.default_rng(1).normal(size=expected.shape).astype(np.float32)
        # A layer of `keras.layers` made by hand is what a flat clone holds, too.
        output, pullback = rule_of(layer)(layer, *arguments)
        _assert_close(output, expected)
        gradients = pullback(tf.constant(upstream))
        references = tape.gradient(expected, tf.nest.flatten(arguments), upstream)
        for gradient, reference in zip(gradients, references, strict=True):
            _assert_close(gradient, reference)
        return [np.asarray(gradient) for gradient in gradients]

    return check


@pytest.fixture(scope="session")
def build_model():
    """A function that builds image -> layer "target" -> `function` -> flat -> logits [B, 3]."""

    def build(function, shape=(6, 6, 4)):
        image = keras.Input(shape)
        x = layers.Identity(name="target")(image)
        return keras.Model(image, layers.Dense(3, name="top")(layers.Flatten()(function(x))))

    return build


@pytest.fixture(scope="session")
def build_vit():
    """A function that builds keras_hub's ViT for 32 px images, with two blocks."""

    def build(pooling="token"):
        from keras_hub.models import ViTBackbone, ViTImageClassifier

        backbone = ViTBackbone(
            image_shape=(32, 32, 3),
            patch_size=8,
            num_layers=2,
            num_heads=2,
            hidden_dim=16,
            mlp_dim=32,
        )
        return ViTImageClassifier(backbone=backbone, num_classes=4, pooling=pooling)

    return build


@pytest.fixture(scope="session")
def check_head():
    """A function that checks the head of a model against the tape, at batch 1 and 3."""

    def check(model, target="target"):
        flat = FlatClone(model)
        tensor = flat.tensor(target)
        head, network = Head(flat, tensor), Network(flat, tensor)
        rng = np.random.default_rng(2)
        for count in (1, 3):
            images = rng.normal(size=(count, *model.input_shape[1:])).astype(np.float32)
            activations, rest = network.run_features(images)
            with tf.GradientTape() as tape:
                tape.watch(activations)
                expected = network.run_head(activations, rest)
            upstream = tf.constant(rng.normal(size=expected.shape), tf.float32)
            logits, pullback = head(activations, rest)
            _assert_close(logits, expected)
            gradient = pullback(upstream)
            reference = tape.gradient(expected, activations, upstream)
            assert abs(np.asarray(reference)).max() > 0
            _assert_close(gradient, reference)

    return check


@pytest.fixture(scope="session")
def check_converted():
    """A function that checks what ONNX Runtime makes of a function of a map, at batch 1 and 3."""

    def check(function, shape):
        graph_function = tf.function(
            lambda x: {name: tf.identity(value) for name, value in function(x).items()},
            input_signature=[tf.TensorSpec([None, *shape], tf.float32, name="map")],
            autograph=False,
        )
        logging.getLogger("tf2onnx").setLevel(logging.CRITICAL)
        model, _ = tf2onnx.convert.from_function(
            graph_function, graph_function.input_signature, opset=17
        )
        _spell_out_erfc(model.graph)
        onnx.checker.check_model(model, full_check=True)
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), providers=["CPUExecutionProvider"]
        )
        assert [given.name for given in session.get_inputs()] == ["map"]
        names = [output.name for output in session.get_outputs()]
        for count in (1, 3):
            maps = np.random.default_rng(count).normal(size=(count, *shape)).astype(np.float32)
            answers = dict(zip(names, session.run(names, {"map": maps}), strict=True))
            expected = function(tf.constant(maps))
            assert set(answers) == set(expected)
            for name, value in expected.items():
                assert answers[name].shape == value.shape, name
                _assert_close(answers[name], value, name)

    return check


def _spell_out_erfc(graph):
    """Writes Erfc, the one operation that ONNX lacks, as the rest of an Erf."""
    for node in [node for node in graph.node if node.op_type == "Erfc"]:
        place = list(graph.node).index(node)
        one, erf = f"{node.name}_one", f"{node.name}_erf"
        graph.initializer.append(numpy_helper.from_array(np.float32(1), one))
        graph.node.remove(node)
        graph.node.insert(place, helper.make_node("Sub", [one, erf], node.output))
        graph.node.insert(place, helper.make_node("Erf", node.input, [erf]))
