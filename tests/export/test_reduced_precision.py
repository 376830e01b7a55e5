"""Half precision and eight-bit integers: where they act, and what they cost."""

import keras
import numpy as np
import onnx
import pytest
from keras import layers
from onnx import numpy_helper

from export.convert import to_onnx
from export.exporter import export_model
from export.heatmap import Explained
from export.reduced_precision import QuantisationReport, accuracy, to_fp16, to_int8
from proxy_keras.attribution.target_layer import expose_target
from proxy_keras.data import ImageData
from proxy_keras.graph import FlatClone

SHAPE = (16, 16, 3)


@pytest.fixture
def converted(make_model):
    flat = FlatClone(make_model("deep"))
    explained = Explained(flat, expose_target(flat, None)[1], "grad_cam")
    return to_onnx(explained, flat.model.variables, SHAPE, "uint8")


def _weights(model, ndim):
    arrays = [numpy_helper.to_array(item) for item in model.graph.initializer]
    return {array.dtype.name for array in arrays if array.ndim == ndim}


def test_half_precision_is_for_the_features_only(converted, photographs, answers):
    half = to_fp16(converted)
    assert _weights(half, 4) == {"float16"} and _weights(half, 2) == {"float32"}
    full = answers(converted.model, photographs)
    for name, values in answers(half, photographs).items():
        assert values.dtype == np.float32
        np.testing.assert_allclose(values, full[name], atol=5e-3)
    assert np.abs(answers(half, photographs)["logits"] - full["logits"]).max() > 0


def test_eight_bits_are_for_the_features_only(converted, photographs, answers):
    small = to_int8(converted, iter([photographs[:4], photographs[4:]]))
    assert _weights(small, 4) == {"int8"} and _weights(small, 2) == {"float32"}
    full = answers(converted.model, photographs)
    for name, values in answers(small, photographs).items():
        np.testing.assert_allclose(values, full[name], atol=0.1 * np.abs(full[name]).max())


def test_the_float32_model_is_left_as_it_was(converted, photographs):
    before = converted.model.SerializeToString()
    to_fp16(converted)
    to_int8(converted, iter([photographs]))
    assert converted.model.SerializeToString() == before


def test_accuracy_counts_over_all_batches(converted, photographs, answers):
    said = answers(converted.model, photographs)["logits"].argmax(axis=1).astype(np.int32)
    wrong = (said + 1) % 3
    batches = [(photographs[:4], said[:4]), (photographs[4:], wrong[4:])]
    assert accuracy(converted.model, iter(batches)) == pytest.approx(4 / 7)


def test_a_drop_is_in_points():
    report = QuantisationReport(100, 200, accuracy_fp32=0.95, accuracy_int8=0.93)
    assert report.drop == pytest.approx(2.0)
    assert "200 validation images: int8 93.00%, fp32 95.00%" in str(report)


@pytest.fixture
def faint(make_source):
    """A model that tells its two classes by what eight bits cannot hold, and its data.

    One channel is a hundred times the other, and the class is a matter of the small one.
    """
    draw = np.random.default_rng(0)
    labels = np.arange(120) % 2
    images = draw.integers(0, 256, (120, 16, 16, 3))
    images[..., 2] = 100 + 2 * labels[:, None, None]
    data = ImageData.from_arrays(images.astype(np.uint8), labels, progress=False)
    inputs = keras.Input(SHAPE)
    cells = layers.Conv2D(2, 1, name="cells")(inputs)
    both = layers.Conv2D(2, 1, name="more")(cells)
    outputs = layers.Dense(2, name="out")(layers.GlobalAveragePooling2D()(both))
    model = keras.Model(inputs, outputs)
    kernel = np.zeros([1, 1, 3, 2], "float32")
    kernel[0, 0, 0, 0], kernel[0, 0, 2, 1] = 1.0, 1.0
    model.get_layer("cells").set_weights([kernel, np.zeros(2, "float32")])
    mix = np.array([[1000.0, 0.0], [0.0, 1.0]], "float32").reshape(1, 1, 2, 2)
    model.get_layer("more").set_weights([mix, np.zeros(2, "float32")])
    model.get_layer("out").set_weights(
        [np.array([[0, 0], [-1, 1]], "float32"), np.array([101, -101], "float32")]
    )
    return make_source(model, classes=data.classes, data=data)


def test_int8_that_costs_too_much_is_refused_and_leaves_no_file(faint, tmp_path):
    file = tmp_path / "faint.onnx"
    with pytest.raises(ValueError, match=r"points exceeds the limit of 0.5.*--max-drop"):
        export_model(faint, file, explain="none", precision="int8")
    assert list(tmp_path.iterdir()) == []


def test_it_is_let_pass_on_request_and_the_cost_is_kept(faint, tmp_path):
    file = tmp_path / "faint.onnx"
    exported = export_model(faint, file, explain="none", precision="int8", max_drop=100)
    assert exported.quantisation.accuracy_fp32 == 1.0 and exported.quantisation.drop > 20
    kept = {p.key: p.value for p in onnx.load(file).metadata_props}["parity"]
    assert "accuracy_int8" in kept and exported.report.read_text().count("accuracy_int8") == 1


def test_int8_needs_data(make_model, make_source, tmp_path):
    with pytest.raises(ValueError, match="--data SRC"):
        export_model(make_source(make_model()), tmp_path / "a.onnx", precision="int8")
