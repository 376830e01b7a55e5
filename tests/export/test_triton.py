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
    text = (tmp_path / "models" / "f" / "config.pbtxt").read_text()
    config = text_format.Parse(text, triton.ModelConfig())
    assert config.input[0].data_type == triton.TYPE_FP32 and len(config.output) == 2
    assert "heatmap" not in {o.name for o in config.output}


@pytest.fixture
def make_file(make_model, make_source, tmp_path):
    """Exports a model of the network "resnet20" with other classes or options to NAME.onnx."""

    def make(name, classes=("cat", "dog", "owl"), **options):
        source = make_source(make_model(), name="resnet20", classes=list(classes))
        return export_model(source, tmp_path / f"{name}.onnx", **options).file

    return make


def test_two_models_of_one_network_are_two_models(make_file, tmp_path):
    folder = tmp_path / "models"
    for name, classes in (("pets", ["cat", "dog", "owl"]), ("colours", ["red", "green", "blue"])):
        version = write_model_repository(make_file(name, classes), folder)
        assert version == folder / name / "1"
        assert (folder / name / "labels.txt").read_text().split() == classes
        config = text_format.Parse((folder / name / "config.pbtxt").read_text(), _config())
        assert config.name == name
    named = write_model_repository(make_file("pets"), folder, name="my pets")
    assert named == folder / "my_pets" / "1"


def _config():
    return triton.ModelConfig()


def _content(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes": ["red", "green", "blue"]}, r"other class names .*'cat'.*Received: \['red'"),
        ({"input_dtype": "float32"}, r"input 'image' of TYPE_UINT8 .*input of TYPE_FP32 \[16,"),
        ({"explain": "none"}, r"output 'heatmap' of TYPE_FP32 \[8, 8\].* no tensor of this name"),
    ],
)
def test_another_model_under_the_same_name_is_refused(change, message, make_file, tmp_path):
    write_model_repository(make_file("a"), tmp_path / "models")
    before = _content(tmp_path / "models")
    with pytest.raises(ValueError, match=rf"{message}.*--name NAME"):
        write_model_repository(make_file("a", **change), tmp_path / "models")
    assert _content(tmp_path / "models") == before


EDITS = {
    "version_policy": lambda text: text + "version_policy: { specific: { versions: [1, 3] } }\n",
    "comment": lambda text: "# ours\n" + text,
    "instances": lambda text: text.replace("KIND_AUTO", "KIND_CPU count: 2"),
    "batch": lambda text: text.replace("max_batch_size: 32", "max_batch_size: 8"),
    "open size": lambda text: text.replace("dims: [ 8, 8 ]", "dims: [ -1, -1 ]"),
    "fewer outputs": lambda text: "".join(
        line for line in text.splitlines(True) if "heatmap" not in line
    ),
    "no batches": lambda text: text.replace("max_batch_size: 32", "max_batch_size: 0").replace(
        "dims: [ ", "dims: [ -1, "
    ),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=list(EDITS))
def test_a_configuration_edited_by_hand_is_kept(edit, file, tmp_path):
    write_model_repository(file, tmp_path / "models")
    config = tmp_path / "models" / "small" / "config.pbtxt"
    edited = edit(config.read_text())
    assert edited != config.read_text()
    text_format.Parse(edited, triton.ModelConfig())
    config.write_text(edited)
    assert write_model_repository(file, tmp_path / "models").name == "2"
    assert config.read_text() == edited


def test_a_damaged_configuration_is_reported(file, tmp_path):
    write_model_repository(file, tmp_path / "models")
    (tmp_path / "models" / "small" / "config.pbtxt").write_text("input [ { name: ")
    with pytest.raises(ValueError, match=r"config\.pbtxt is not a Triton model configuration"):
        write_model_repository(file, tmp_path / "models")
