"""The check against Keras: what it measures, what it lets pass, what it says."""

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from export.parity import Difference, ParityReport, Reference, compare, keras_reference
from proxy_keras.graph import FlatClone

IMAGES = np.arange(7 * 3, dtype=np.uint8).reshape(7, 1, 1, 3)
LOGITS = IMAGES.reshape(7, 3).astype(np.float32)


@pytest.fixture
def file(tmp_path):
    """A file whose logits are the pixel of the image, plus 2 in the last class."""
    kind = onnx.TensorProto
    nodes = [
        helper.make_node("Cast", ["image"], ["x"], to=kind.FLOAT),
        helper.make_node("Flatten", ["x"], ["flat"]),
        helper.make_node("Add", ["flat", "shift"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"]),
        helper.make_node("ReduceMean", ["x"], ["heatmap"], axes=[3], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "pixels",
        [helper.make_tensor_value_info("image", kind.UINT8, ["n", 1, 1, 3])],
        [
            helper.make_tensor_value_info("logits", kind.FLOAT, ["n", 3]),
            helper.make_tensor_value_info("probabilities", kind.FLOAT, ["n", 3]),
            helper.make_tensor_value_info("heatmap", kind.FLOAT, ["n", 1, 1]),
        ],
        [numpy_helper.from_array(np.array([0, 0, 2], np.float32), "shift")],
    )
    path = tmp_path / "pixels.onnx"
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return path


def _reference(**changes):
    known = {
        "logits": LOGITS + np.float32([0, 0, 2]),
        "heatmaps": LOGITS.mean(axis=1).reshape(7, 1, 1),
        "outputs": LOGITS + np.float32([0, 0, 2]),
        "activation": None,
        "is_float32": True,
    }
    return Reference(**{**known, **changes})


def _compare(file, reference, limit=1e-5, heatmap_limit=1e-5):
    return compare(
        file, IMAGES, reference, description="test images", limit=limit, heatmap_limit=heatmap_limit
    )


def test_equal_answers_pass_at_both_batch_sizes(file):
    report = _compare(file, _reference())
    assert report.is_passed and report.same_class == 1.0
    assert [d.batch_size for d in report.differences] == [1, 1, 1, 7, 7, 7]
    assert max(d.value for d in report.differences) == 0.0


def test_a_difference_is_relative_to_the_largest_magnitude(file):
    report = _compare(file, _reference(logits=LOGITS))
    values = {d.batch_size: d.value for d in report.differences if "logits" in d.output}
    assert values == {1: pytest.approx(2 / 2), 7: pytest.approx(2 / 20)}
    assert not report.is_passed
    assert _compare(file, _reference(logits=LOGITS), limit=1.0).is_passed
    assert "logits" in str(report) and "EXCEEDED" in str(report)


def test_heatmaps_have_a_limit_of_their_own(file):
    off = _reference(heatmaps=LOGITS.mean(axis=1).reshape(7, 1, 1) * np.float32(1.001))
    assert not _compare(file, off).is_passed
    assert _compare(file, off, heatmap_limit=1e-2).is_passed


def test_shares_are_compared_by_their_difference(file):
    # The test file's logits stand in for the shares of two of its outputs.
    expected = LOGITS + np.float32([0, 0, 2])
    model = onnx.load(file)
    for name, source in (("cues", "logits"), ("ticked_share", "flat")):
        model.graph.node.append(helper.make_node("Identity", [source], [name]))
        shape = helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n", 3])
        model.graph.output.append(shape)
    onnx.save(model, file)
    reference = _reference(cues=expected + np.float32(0.25), ticked_share=LOGITS)
    report = compare(
        file,
        IMAGES,
        reference,
        description="test images",
        limit=1e-5,
        heatmap_limit=1e-5,
        share_limit=0.2,
    )
    values = {d.output: (d.value, d.is_within) for d in report.differences if d.batch_size == 7}
    assert values["cues, float32 Keras"] == (0.25, False)
    assert values["ticked_share, float32 Keras"] == (0.0, True)
    assert not report.is_passed


def test_what_is_no_number_never_passes():
    assert not Difference("logits", 1, float("nan"), 1e-5).is_within
    assert Difference("logits", 1, float("nan"), None).is_within


def test_the_model_as_saved_is_held_to_the_limit_only_in_float32(file):
    half = np.float32(1.01) * (LOGITS + np.float32([0, 0, 2]))
    assert not _compare(file, _reference(outputs=half)).is_passed
    report = _compare(file, _reference(outputs=half, is_float32=False))
    assert report.is_passed
    value = next(d.value for d in report.differences if "saved model" in d.output)
    assert value == pytest.approx(0.01 / 1.01, rel=1e-3)


def test_a_model_that_answers_probabilities_is_compared_by_them(file):
    logits = (LOGITS + np.float32([0, 0, 2])).astype(np.float64)
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    for activation, own in (("softmax", chances), ("log_softmax", np.log(chances))):
        reference = _reference(outputs=own.astype(np.float32), activation=activation)
        assert _compare(file, reference).is_passed


def test_classes_that_differ_are_counted(file):
    swapped = _reference(logits=(LOGITS + np.float32([0, 0, 2]))[:, ::-1])
    assert _compare(file, swapped, limit=None).same_class == 0.0


def test_shapes_that_differ_are_an_error(file):
    with pytest.raises(ValueError, match=r"returns shape \(1, 3\), Keras \(1, 2\)"):
        _compare(file, _reference(logits=LOGITS[:, :2]))


def test_the_report_is_json_values():
    report = ParityReport("x", [Difference("logits", 1, 0.5, None)], 1.0)
    assert report.to_dict() == {
        "images": "x",
        "passed": True,
        "same_class": 1.0,
        "differences": [{"output": "logits", "batch_size": 1, "value": 0.5, "limit": None}],
    }


def test_keras_answers_in_float32_and_as_saved(make_model, photographs):
    model = make_model(activation="softmax")
    reference = keras_reference(model, FlatClone(model), photographs, None)
    assert reference.is_float32 and reference.activation == "softmax"
    np.testing.assert_allclose(reference.outputs.sum(axis=1), 1.0, rtol=1e-5)
    exps = np.exp(reference.logits - reference.logits.max(axis=1, keepdims=True))
    np.testing.assert_allclose(exps / exps.sum(axis=1, keepdims=True), reference.outputs, atol=1e-6)
