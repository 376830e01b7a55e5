"""The model repository, read as Triton reads it."""

import onnx
import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2 as triton

from export.exporter import export_model
from export.triton import write_model_repository


@pytest.fixture
def file(make_model, make_source, tmp_path):
    source = make_source(make_model(), classes=["cat", 'a "quoted" dog', "owl"])
    return export_model(source, tmp_path / "small.onnx").file


def test_the_configuration_says_what_the_file_takes_and_answers(file, tmp_path):
    write_model_repository(file, tmp_path / "models")
    text = (tmp_path / "models" / "small" / "config.pbtxt").read_text()
    config = text_format.Parse(text, triton.ModelConfig())
    assert (config.name, config.backend, config.max_batch_size) == ("small", "onnxruntime", 32)
    (image,) = config.input
    assert (image.name, image.data_type, list(image.dims)) == (
        "image",
        triton.TYPE_UINT8,
        [16, 16, 3],
    )
    assert {o.name: list(o.dims) for o in config.output} == {
        "logits": [3],
        "probabilities": [3],
        "heatmap": [8, 8],
    }
    assert {o.data_type for o in config.output} == {triton.TYPE_FP32}
    assert config.dynamic_batching.max_queue_delay_microseconds == 5000
    labels = {o.name: o.label_filename for o in config.output if o.label_filename}
    assert labels == {"probabilities": "labels.txt"}


def test_a_value_per_image_is_given_an_axis_and_loses_it_again(make_model, make_source, tmp_path):
    file = export_model(make_source(make_model()), tmp_path / "small.onnx").file
    model = onnx.load(file)
    axis = model.graph.output[0].type.tensor_type.shape.dim[0]
    share = onnx.helper.make_tensor_value_info("ticked_share", onnx.TensorProto.FLOAT, None)
    share.type.tensor_type.shape.dim.append(axis)
    model.graph.output.append(share)
    onnx.save(model, file)
    write_model_repository(file, tmp_path / "models")
    text = (tmp_path / "models" / "small" / "config.pbtxt").read_text()
    output = text_format.Parse(text, triton.ModelConfig()).output[-1]
    assert (output.name, list(output.dims)) == ("ticked_share", [1])
    assert output.HasField("reshape") and list(output.reshape.shape) == []


def test_the_file_and_its_labels_lie_where_triton_looks(file, tmp_path):
    version = write_model_repository(file, tmp_path / "models")
    assert version == tmp_path / "models" / "small" / "1"
    assert (version / "model.onnx").read_bytes() == file.read_bytes()
    labels = (tmp_path / "models" / "small" / "labels.txt").read_text()
    assert labels == 'cat\na "quoted" dog\nowl\n'


def test_a_version_is_added_and_none_is_lost(file, tmp_path):
    first = write_model_repository(file, tmp_path / "models")
    (tmp_path / "models" / "small" / "9").mkdir()
    second = write_model_repository(file, tmp_path / "models")
    assert second.name == "10" and (first / "model.onnx").is_file()


def test_a_float_input_is_told_as_such(make_model, make_source, tmp_path):
    file = export_model(
        make_source(make_model()), tmp_path / "f.onnx", explain="none", input_dtype="float32"
    ).file
    write_model_repository(file, tmp_path / "models")
    text = (tmp_path / "models" / "small" / "config.pbtxt").read_text()
    config = text_format.Parse(text, triton.ModelConfig())
    assert config.input[0].data_type == triton.TYPE_FP32 and len(config.output) == 2
    assert "heatmap" not in {o.name for o in config.output}
