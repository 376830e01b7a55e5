"""One export: the file that is left, and the cases in which none is."""

import json
import math

import keras
import numpy as np
import onnx
import pytest
import yaml
from keras import layers

from export.__main__ import main
from export.exporter import export_model
from proxy_keras.data import ImageData
from serve.model import Model


@pytest.fixture
def saved(make_model, tmp_path):
    """A saved classifier."""
    make_model("deep").save(tmp_path / "small.keras")
    return tmp_path / "small.keras"


def _export(*words):
    return main([*map(str, words), "--quiet"])


def test_the_file_answers_and_its_report_is_kept(saved, tmp_path, photographs, capsys):
    file = tmp_path / "new" / "small.onnx"
    assert main([str(saved), "--out", str(file)]) == 0
    said = capsys.readouterr().out
    assert "compared with Keras on 7 crops" in said and f"written: {file}" in said
    report = json.loads((tmp_path / "new" / "small.report.json").read_text())
    assert report["passed"] and report["same_class"] == 1.0
    assert max(item["value"] for item in report["differences"]) < 1e-4
    answered = Model(file, device="cpu").run(photographs)
    model = keras.saving.load_model(saved)
    np.testing.assert_allclose(
        answered.logits, model(photographs.astype("float32")), rtol=1e-4, atol=1e-5
    )
    assert answered.heatmaps.shape == (7, 8, 8)


def test_a_file_of_float_images_answers_the_same(saved, tmp_path, photographs):
    runs = {}
    for kind in ("uint8", "float32"):
        file = tmp_path / f"{kind}.onnx"
        assert _export(saved, "--out", file, "--input-type", kind) == 0
        model = Model(file, device="cpu")
        assert model.input_dtype == np.dtype(kind)
        runs[kind] = model.run(photographs).logits
    np.testing.assert_array_equal(runs["uint8"], runs["float32"])


def test_a_difference_that_is_too_large_leaves_no_file(saved, tmp_path, capsys):
    file = tmp_path / "out" / "small.onnx"
    assert _export(saved, "--out", file, "--tolerance", "0") == 2
    said = capsys.readouterr().err
    assert "EXCEEDED" in said and "--tolerance" in said
    assert not file.parent.exists()


def test_an_older_file_stays_when_the_new_one_is_refused(saved, tmp_path):
    file = tmp_path / "small.onnx"
    assert _export(saved, "--out", file, "--explain", "none") == 0
    before = file.read_bytes()
    assert _export(saved, "--out", file, "--tolerance", "0") == 2
    assert file.read_bytes() == before


def test_the_target_layer_can_be_named(saved, tmp_path):
    file = tmp_path / "small.onnx"
    assert _export(saved, "--out", file, "--target-layer", "bn") == 0
    model = Model(file, device="cpu")
    assert model.card.target_layer == "bn" and model.map_shape == (8, 8)


def test_a_model_of_any_size_is_exported_for_one(make_model, tmp_path, photographs):
    make_model(size=None).save(tmp_path / "any.keras")
    file = tmp_path / "any.onnx"
    assert _export(tmp_path / "any.keras", "--out", file, "--image-size", 16) == 0
    expected = make_model()(photographs.astype("float32"))
    found = Model(file, device="cpu").run(photographs).logits
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_a_model_in_half_precision_is_exported_in_float32(tmp_path, photographs):
    keras.config.set_dtype_policy("mixed_bfloat16")
    keras.utils.set_random_seed(0)
    inputs = keras.Input((16, 16, 3))
    cells = layers.Conv2D(4, 3, activation="relu")(layers.Rescaling(1 / 255)(inputs))
    outputs = layers.Dense(3, dtype="float32")(layers.GlobalAveragePooling2D()(cells))
    keras.Model(inputs, outputs).save(tmp_path / "mixed.keras")
    file = tmp_path / "mixed.onnx"
    assert _export(tmp_path / "mixed.keras", "--out", file) == 0
    report = json.loads((tmp_path / "mixed.report.json").read_text())
    values = {item["output"]: item for item in report["differences"]}
    assert values["logits, float32 Keras"]["value"] < 1e-5
    as_saved = values["output of the saved model"]
    assert 1e-5 < as_saved["value"] < 0.1 and as_saved["limit"] is None
    types = {item.data_type for item in onnx.load(file).graph.initializer}
    assert onnx.TensorProto.BFLOAT16 not in types


def test_everything_beside_the_file_is_written_too(saved, tmp_path, capsys):
    words = [saved, "--out", tmp_path / "s.onnx", "--name", "owls", "--storage-uri", "gs://b/m"]
    extra = ["--triton", tmp_path / "models", "--kserve", tmp_path / "s.yaml"]
    assert main([*map(str, [*words, *extra])]) == 0
    assert (tmp_path / "models" / "owls" / "1" / "model.onnx").is_file()
    assert "gs://b/m" in (tmp_path / "s.yaml").read_text()
    said = capsys.readouterr().out
    assert "Triton: " in said and "KServe: " in said


def test_a_triton_model_with_other_labels_is_refused_before_the_work(
    saved, tmp_path, monkeypatch, capsys
):
    (tmp_path / "models" / "a").mkdir(parents=True)
    (tmp_path / "models" / "a" / "labels.txt").write_text("cat\ndog\nowl\n")
    monkeypatch.setattr("export.__main__.export_model", None)
    assert _export(saved, "--out", tmp_path / "a.onnx", "--triton", tmp_path / "models") == 2
    assert "other class names than this model: ['cat', 'dog', 'owl']" in capsys.readouterr().err


def test_the_manifest_may_go_to_the_standard_output(saved, tmp_path, capfd):
    (tmp_path / "link.onnx").symlink_to(tmp_path / "real.onnx")
    words = [saved, "--out", tmp_path / "link.onnx", "--kserve", "/dev/stdout"]
    assert main([*map(str, words)]) == 0
    assert (tmp_path / "link.onnx").is_symlink() and (tmp_path / "real.onnx").is_file()
    out, errors = capfd.readouterr()
    assert yaml.safe_load(out)["kind"] == "InferenceService" and "written: " in errors


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--out", "a.bin"], "must end in .onnx"),
        (["--explain", "none", "--target-layer", "bn"], "uses no target layer"),
        (["--target-layer", "nowhere"], "No layer is named 'nowhere'"),
        (["--precision", "int8"], "--data SRC"),
        (["--held-out", "pictures"], "--held-out writes test images"),
        (["--calibration-images", "0"], "`calibration_images` must be >= 1"),
        (["--images", "nothing.png"], "nothing.png"),
    ],
)
def test_bad_arguments_are_told_in_one_message(words, message, saved, tmp_path, capsys):
    words = words if "--out" in words else [*words, "--out", tmp_path / "a.onnx"]
    assert _export(saved, *words) == 2
    said = capsys.readouterr().err
    assert message in said and said.startswith("error: ") and said.count("error") == 1
    assert not (tmp_path / "a.onnx").exists()


@pytest.mark.parametrize("option", ["--max-drop", "--tolerance"])
@pytest.mark.parametrize("value", ["-1", "nan", "inf"])
def test_a_limit_that_is_none_is_refused_before_the_model_is_opened(
    option, value, tmp_path, capsys
):
    words = [tmp_path / "none.keras", "--out", tmp_path / "a.onnx", "--precision", "int8"]
    assert _export(*words, f"{option}={value}") == 2
    name = option[2:].replace("-", "_")
    said = f"error: `{name}` must be finite and >= 0. Received: {float(value)}\n"
    assert capsys.readouterr().err == said


@pytest.mark.parametrize("limit", [{"tolerance": -1.0}, {"max_drop": math.nan}])
def test_such_a_limit_is_refused_in_python_too(limit, make_model, make_source, tmp_path):
    with pytest.raises(ValueError, match=f"`{next(iter(limit))}` must be finite and >= 0"):
        export_model(make_source(make_model()), tmp_path / "a.onnx", **limit)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--kserve", "{0}/a.onnx"], "a.onnx as --kserve and as --out. Choose another name"),
        (["--kserve", "{0}/b/../a.onnx"], "as --kserve and as --out"),
        (["--kserve", "{0}/a.report.json"], "as --kserve and as the report of --out"),
        (["--kserve", "{0}/small.keras"], "as --kserve and as MODEL"),
        (["--kserve", "{0}/link"], "as --kserve and as MODEL"),
        (["--kserve", "{0}/1.png", "--images", "{0}/1.png"], "as --kserve and as --images"),
        (["--kserve", "{0}/n.json", "--labels", "{0}/n.json"], "as --kserve and as --labels"),
        (["--out", "{0}/n.onnx", "--labels", "{0}/n.onnx"], "as --out and as --labels"),
        (["--out", "{0}/m.onnx"], "as --out and as MODEL"),
        (["--labels", "{0}/a.report.json"], "as the report of --out and as --labels"),
        (["--kserve", "{0}/b"], "--kserve must be a file. Received a folder"),
        (["--triton", "{0}/1.png"], "--triton must be a folder. Received a file"),
        (["--held-out", "{0}"], "must be a folder for images only. Received: --out inside it"),
        (["--held-out", "{0}/b", "--triton", "{0}/b/m"], "--triton inside it"),
        (["--storage-uri", "s3://b/m"], "--kserve FILE.yaml. Pass both"),
        (["--kserve", "{0}/k.yaml", "--storage-uri", "no"], "s3://bucket/models. Received: 'no'"),
    ],
)
def test_what_cannot_be_written_is_told_before_any_work(
    words, message, tmp_path, monkeypatch, capsys
):
    (tmp_path / "b").mkdir()
    for name in ("small.keras", "a.onnx", "1.png", "n.json", "n.onnx"):
        (tmp_path / name).write_text(name)
    (tmp_path / "link").symlink_to(tmp_path / "small.keras")
    (tmp_path / "m.onnx").symlink_to(tmp_path / "small.keras")
    before = {path: path.is_dir() or path.read_text() for path in tmp_path.iterdir()}
    monkeypatch.setattr("export.__main__.open_source", None)
    words = words if "--out" in words else ["--out", "{0}/a.onnx", *words]
    assert _export(tmp_path / "small.keras", *(word.format(tmp_path) for word in words)) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and message in said and said.count("\n") == 1
    assert {path: path.is_dir() or path.read_text() for path in tmp_path.iterdir()} == before


def test_the_model_of_a_run_folder_is_not_replaced(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("export.__main__.open_source", None)
    run = tmp_path / "run"
    assert _export(run, "--out", run / "a.onnx", "--kserve", run / "model.keras") == 2
    assert "as --kserve and as MODEL" in capsys.readouterr().err


def test_what_is_already_in_the_way_is_told_before_the_work(
    make_model, make_source, tmp_path, monkeypatch, capsys
):
    images = np.random.default_rng(0).integers(0, 256, (60, 16, 16, 3), np.uint8)
    data = ImageData.from_arrays(images, np.arange(60) % 3, progress=False)
    source = make_source(make_model(), data=data)
    monkeypatch.setattr("export.__main__.open_source", lambda *_, **__: source)
    monkeypatch.setattr("export.exporter.to_onnx", None)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    words = ["run", "--out", tmp_path / "a.onnx", "--held-out"]
    assert _export(*words, tmp_path / "mine") == 2
    assert "1 other files, such as notes.txt" in capsys.readouterr().err
    assert _export(*words, tmp_path / "mine" / "notes.txt") == 2
    assert "notes.txt is a file. Choose a new or empty folder" in capsys.readouterr().err
    assert _export("run", "--out", tmp_path / "a.onnx", "--images", tmp_path / "gone.png") == 2
    assert "gone.png" in capsys.readouterr().err


def test_what_is_no_model_is_told(tmp_path, capsys):
    assert _export(tmp_path / "none.keras", "--out", tmp_path / "a.onnx") == 2
    assert "does not exist" in capsys.readouterr().err


def test_unknown_names_are_refused_in_python_too(make_model, make_source, tmp_path):
    source = make_source(make_model())
    with pytest.raises(ValueError, match="`explain` must be one of grad_cam"):
        export_model(source, tmp_path / "a.onnx", explain="rise")
    with pytest.raises(ValueError, match="`precision` must be one of fp32"):
        export_model(source, tmp_path / "a.onnx", precision="int4")
