"""The graph: its operators, its weights, what tf2onnx gets wrong, and where the features end."""

import keras
import numpy as np
import onnx
import pytest
import tensorflow as tf
from onnx import numpy_helper

from export.convert import OPSET, Converted, to_onnx
from export.heatmap import Explained
from proxy_keras.attribution.target_layer import expose_target
from proxy_keras.graph import FlatClone

SHAPE = (16, 16, 3)


@pytest.fixture
def converted(make_model):
    """A classifier with Grad-CAM, as a graph of uint8 images."""
    flat = FlatClone(make_model())
    explained = Explained(flat, expose_target(flat, None)[1], "grad_cam")
    return to_onnx(explained, flat.model.variables, SHAPE, "uint8")


def test_the_graph_is_of_the_standard_s_own_operators(converted):
    model = converted.model
    onnx.checker.check_model(model, full_check=True)
    assert {node.domain for node in model.graph.node} == {""}
    assert [(o.domain, o.version) for o in model.opset_import] == [("", OPSET)]
    assert all(node.name for node in model.graph.node)


def test_it_has_one_input_of_any_batch_size_and_its_outputs_in_order(converted, answers):
    (image,) = converted.model.graph.input
    assert image.name == "image" and image.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert [o.name for o in converted.model.graph.output] == ["logits", "probabilities", "heatmap"]
    images = np.random.default_rng(0).integers(0, 256, (5, *SHAPE), np.uint8)
    together = answers(converted.model, images)
    assert together["heatmap"].shape == (5, 8, 8) and together["logits"].shape == (5, 3)
    for name, values in answers(converted.model, images[3:4]).items():
        np.testing.assert_allclose(values[0], together[name][3], atol=2e-6)


def test_normalisation_is_merged_into_the_convolution(converted):
    kinds = [node.op_type for node in converted.model.graph.node]
    assert kinds.count("Conv") == 2 and "BatchNormalization" not in kinds and "Sqrt" not in kinds


def test_large_and_small_weights_arrive_with_their_values(answers):
    draw = np.random.default_rng(0)
    large = keras.Variable(draw.normal(size=(48, 100)).astype("float32"))
    small = keras.Variable(draw.normal(size=(100,)).astype("float32"))

    def function(images):
        flat = tf.reshape(images, [-1, 48])
        return {"logits": tf.matmul(flat, large.value) + small.value}

    model = to_onnx(function, [large, small], (4, 4, 3), "float32").model
    images = draw.uniform(0, 255, (2, 4, 4, 3)).astype("float32")
    values = answers(model, images)["logits"]
    expected = images.reshape(2, 48) @ large.numpy() + small.numpy()
    np.testing.assert_allclose(values, expected, rtol=1e-4)
    shapes = {tuple(item.dims) for item in model.graph.initializer}
    assert (48, 100) in shapes and len(model.graph.input) == 1


def test_gelu_keeps_its_value_though_onnx_has_no_erfc(answers):
    def function(images):
        return {"logits": tf.nn.gelu(tf.reduce_mean(images, [1, 2]) - 100.0)}

    model = to_onnx(function, [], (2, 2, 3), "float32").model
    assert "Erf" in [node.op_type for node in model.graph.node]
    images = np.full([1, 2, 2, 3], 100.0, "float32") + np.array([-1.0, 0.5, 2.0], "float32")
    # x * Phi(x) at -1, 0.5 and 2.
    np.testing.assert_allclose(
        answers(model, images)["logits"][0], [-0.158655, 0.345731, 1.954500], atol=1e-5
    )


def test_a_constant_that_was_captured_is_no_input(answers):
    places = tf.constant([2, 0])

    def function(images):
        return {"logits": tf.gather(images[:, 0, 0], places, axis=1)}

    model = to_onnx(function, [], (1, 1, 3), "float32").model
    assert [item.name for item in model.graph.input] == ["image"]
    images = np.array([[[[1.0, 2.0, 3.0]]]], "float32")
    np.testing.assert_array_equal(answers(model, images)["logits"], [[3.0, 1.0]])


def test_an_operation_that_onnx_lacks_is_named():
    with pytest.raises(ValueError, match="no operator for Lgamma"):
        to_onnx(lambda images: {"logits": tf.math.lgamma(images[:, 0, 0])}, [], SHAPE, "uint8")


def test_the_head_is_what_comes_after_the_target_layer(converted):
    kinds = {node.name: node.op_type for node in converted.model.graph.node}
    head = [kinds[name] for name in converted.head]
    assert "Conv" not in head and "Erf" not in head
    assert "ArgMax" in head and "Softmax" in head
    assert len(converted.cut) == 1


def test_without_a_heatmap_the_head_is_the_last_layer(make_model):
    flat = FlatClone(make_model())
    converted = to_onnx(Explained(flat, None, "none"), flat.model.variables, SHAPE, "uint8")
    kinds = {node.name: node.op_type for node in converted.model.graph.node}
    # The bias is zero here, and so has been folded away.
    assert [kinds[name] for name in converted.head] == ["MatMul", "Softmax"]


def test_the_cut_is_what_the_head_reads_of_the_features():
    nodes = [
        onnx.helper.make_node("Relu", ["image"], ["a"], name="first"),
        onnx.helper.make_node("Neg", ["a"], ["b"], name="second"),
        onnx.helper.make_node("Add", ["a", "b"], ["logits"], name="third"),
    ]
    model = onnx.ModelProto(graph=onnx.GraphProto(node=nodes))
    both = Converted(model, frozenset({"first", "second"}))
    assert both.cut == ["a", "b"] and both.head == ["third"]
    assert Converted(model, frozenset({"first"})).cut == ["a"]


def test_weights_are_those_of_the_model_now_not_of_its_making(make_model, answers):
    model = make_model()
    flat = FlatClone(model)
    kernel = flat.model.get_layer("cells").kernel
    kernel.assign(kernel * 3.0)
    converted = to_onnx(Explained(flat, None, "none"), flat.model.variables, SHAPE, "float32")
    images = np.random.default_rng(0).uniform(0, 255, (2, *SHAPE)).astype("float32")
    expected = flat.model(images, training=False).numpy()
    np.testing.assert_allclose(answers(converted.model, images)["logits"], expected, rtol=1e-4)
    assert not np.allclose(expected, model(images, training=False).numpy(), rtol=1e-2)
    assert any(
        numpy_helper.to_array(item).shape == (12, 8, 3, 3)
        for item in converted.model.graph.initializer
    )


def test_a_mean_over_features_is_no_pooling(answers):
    def function(images):
        tokens = tf.reshape(images, [-1, 2, 6])
        centred = tokens - tf.reduce_mean(tokens, axis=-1, keepdims=True)
        return {"logits": tf.reduce_sum(tf.square(centred), axis=1)}

    model = to_onnx(function, [], (2, 2, 3), "float32").model
    kinds = [node.op_type for node in model.graph.node]
    assert "ReduceMean" in kinds and "GlobalAveragePool" not in kinds
    images = np.arange(24, dtype="float32").reshape(2, 2, 2, 3)
    # In each token the values are -2.5 to 2.5 around their mean.
    squares = 2 * np.square(np.arange(6) - 2.5)
    np.testing.assert_allclose(answers(model, images)["logits"], [squares, squares], rtol=1e-6)
