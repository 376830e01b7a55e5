"""`python -m proxy_keras.explain` as a user calls it."""

import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image

from proxy_keras.attribution import explain
from proxy_keras.data.images import read_image, read_resized
from proxy_keras.explaining.image_files import main
from proxy_keras.heatmaps.scaling import enlarge
from proxy_keras.io import figures


@pytest.fixture
def model(tmp_path):
    """A saved classifier of three classes for 16 px images, with its class names in the folder."""
    keras.utils.set_random_seed(0)
    image = keras.Input((16, 16, 3))
    x = layers.Rescaling(1 / 64)(image)
    x = layers.Conv2D(6, 3, padding="same", activation="relu")(x)
    x = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(image, layers.Dense(3)(x))
    run = tmp_path / "run"
    run.mkdir()
    model.save(run / "model.keras")
    (run / "labels.json").write_text(json.dumps({"0": "cat", "1": "dog", "2": "owl"}))
    return run


@pytest.fixture
def photos(tmp_path):
    """Two readable images, one of them in a subfolder, and a file that is not an image."""
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    draw = np.random.default_rng(0)
    for path, shape in (("a.png", (40, 60, 3)), ("more/a.jpg", (64, 48, 3))):
        Image.fromarray(draw.integers(0, 256, shape, dtype=np.uint8)).save(folder / path)
    (folder / "notes.txt").write_text("no image")
    return folder


def _explain(*words):
    return main([*map(str, words), "--quiet"])


def test_overlays_sheets_and_answers_are_written(model, photos, tmp_path, capsys):
    out = tmp_path / "out"
    assert _explain(model, photos, "--method", "grad_cam,saliency", "--out", out) == 0
    said = capsys.readouterr()
    assert "notes.txt: not an image" in said.err
    answers = json.loads((out / "answers.json").read_text())
    assert [Path(answer["image"]).name for answer in answers] == ["a.png", "a.jpg"]
    assert answers[1]["overlays"] == {
        "grad_cam": "a_2_grad_cam.png",
        "saliency": "a_2_saliency.png",
    }
    assert answers[0]["class"] in ("cat", "dog", "owl")
    assert f"a.png: {answers[0]['class']} {answers[0]['probability']:.1%}" in said.out
    assert sorted(path.name for path in out.iterdir()) == [
        "a_2_grad_cam.png",
        "a_2_saliency.png",
        "a_grad_cam.png",
        "a_saliency.png",
        "answers.json",
        "sheet_0001.png",
    ]


def test_files_that_systems_leave_are_not_explained(model, photos, tmp_path, capsys):
    for name in ("@eaDir/a.png/thumb.png", ".ipynb_checkpoints/a.png", "__MACOSX/more/a.png"):
        (photos / name).parent.mkdir(parents=True)
        (photos / name).write_bytes((photos / "a.png").read_bytes())
    (photos / "Thumbs.db").write_text("no image")
    assert _explain(model, photos, "--method", "saliency", "--out", tmp_path / "out") == 0
    answers = json.loads((tmp_path / "out/answers.json").read_text())
    assert [answer["image"] for answer in answers] == [
        str(photos / "a.png"),
        str(photos / "more/a.jpg"),
    ]
    assert capsys.readouterr().err.count("skipped") == 1


def test_probabilities_of_a_sigmoid_are_those_of_the_model(model, photos, tmp_path):
    network = keras.models.load_model(model / "model.keras")
    output = layers.Activation("sigmoid")(network.output)
    keras.Model(network.input, output).save(tmp_path / "tags.keras")
    words = (photos / "a.png", "--method", "rise", "--method-option", "masks=20")
    assert _explain(tmp_path / "tags.keras", *words, "--out", tmp_path / "out") == 0
    answer = json.loads((tmp_path / "out/answers.json").read_text())[0]
    inputs = read_resized(photos / "a.png", 16)[np.newaxis].astype(np.float32)
    expected = keras.models.load_model(tmp_path / "tags.keras").predict(inputs, verbose=0)
    assert answer["probability"] == pytest.approx(expected.max(), abs=1e-5)


@pytest.mark.parametrize("is_known", [True, False])
def test_probabilities_are_those_of_the_model(model, photos, tmp_path, capsys, is_known):
    network = keras.models.load_model(model / "model.keras")
    members = [layers.Softmax()(network(network.input) * gain) for gain in (30.0, 50.0)]
    mean = layers.Average()(members)
    mean = mean if is_known else keras.ops.maximum(mean, 0.0)
    keras.Model(network.input, mean).save(tmp_path / "mean.keras")
    words = (photos / "a.png", "--method", "grad_cam", "--out", tmp_path / "out")
    assert _explain(tmp_path / "mean.keras", *words) == 0
    answer = json.loads((tmp_path / "out/answers.json").read_text())[0]
    inputs = read_resized(photos / "a.png", 16)[np.newaxis].astype(np.float32)
    expected = keras.models.load_model(tmp_path / "mean.keras").predict(inputs, verbose=0)
    assert answer["probability"] == pytest.approx(expected.max(), abs=1e-5)
    assert answer["blank"] == []
    said = capsys.readouterr().err
    assert ("output of the model: softmax of logits (measured" in said) != is_known


def test_an_overlay_is_the_heatmap_over_the_whole_picture(model, photos, tmp_path):
    out = tmp_path / "out"
    assert _explain(model, photos / "a.png", "--method", "layer_cam", "--out", out) == 0
    picture = read_image(photos / "a.png")
    inputs = read_resized(photos / "a.png", 16)[np.newaxis]
    loaded = keras.saving.load_model(model / "model.keras")
    heat = enlarge(explain(loaded, inputs, "layer_cam"), picture.shape[:2]).numpy()[0]
    expected = figures.overlay(picture, heat)
    np.testing.assert_array_equal(read_image(out / "a_layer_cam.png"), expected)
    assert expected.shape == (40, 60, 3)


def test_a_class_may_be_named_or_numbered(model, photos, tmp_path):
    maps = []
    loaded = keras.saving.load_model(model / "model.keras")
    inputs = read_resized(photos / "a.png", 16)[np.newaxis]
    for number, options in enumerate((["--class", "owl"], ["--class", "2"], ["--against", "owl"])):
        out = tmp_path / str(number)
        words = ["--method", "grad_cam", "--save-maps", "--out", out]
        assert _explain(model, photos / "a.png", *words, *options) == 0
        maps.append(np.load(out / "heatmaps.npz")["grad_cam"])
    expected = explain(loaded, inputs, "grad_cam", class_ids=2)
    np.testing.assert_allclose(maps[0], expected, atol=1e-6)
    np.testing.assert_array_equal(maps[1], maps[0])
    contrast = explain(loaded, inputs, "grad_cam", explain="contrast", class_ids=2)
    np.testing.assert_allclose(maps[2], contrast, atol=1e-6)


def test_options_go_to_the_methods_that_have_them(model, photos, tmp_path):
    out = tmp_path / "out"
    words = ["--method", "grad_cam,integrated_gradients", "--save-maps", "--out", out]
    options = ["--method-option", "steps=3", "--method-option", "baseline=white"]
    assert _explain(model, photos / "a.png", *words, *options) == 0
    loaded = keras.saving.load_model(model / "model.keras")
    inputs = read_resized(photos / "a.png", 16)[np.newaxis]
    expected = explain(loaded, inputs, "integrated_gradients", steps=3, baseline="white")
    found = np.load(out / "heatmaps.npz")["integrated_gradients"]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_images_are_mapped_to_the_range_of_the_model(photos, tmp_path):
    image = keras.Input((None, None, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, activation="relu")(image))
    model = keras.Model(image, layers.Dense(2)(x))
    model.save(tmp_path / "open.keras")
    out = tmp_path / "out"
    words = ["--method", "grad_cam", "--save-maps", "--out", out]
    ranges = ["--value-range", "-1", "1", "--image-size", "20"]
    assert _explain(tmp_path / "open.keras", photos / "a.png", *words, *ranges) == 0
    inputs = read_resized(photos / "a.png", 20)[np.newaxis] / 127.5 - 1.0
    expected = explain(model, inputs, "grad_cam")
    np.testing.assert_allclose(np.load(out / "heatmaps.npz")["grad_cam"], expected, atol=1e-5)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--method", "magic"], "Unknown attribution method 'magic'. Known: cam"),
        (["--method-option", "steps=3"], "None of the methods grad_cam_plus_plus has an option"),
        (["--class", "fox"], "The model has no class 'fox'. Its classes: cat, dog, owl"),
        (["--class", "cat", "--against", "dog"], "`--class` or `--against`, not both"),
        (["--strict"], "1 files are not usable images"),
        (["--image-size", "32"], "needs images of 16 x 16 pixels"),
        (["--alpha", "2"], r"`--alpha` must be in [0, 1]"),
        (["--batch-size", "0"], "`--batch-size` must be >= 1"),
        (["--value-range", "1", "0"], "`--value-range` must be increasing"),
    ],
)
def test_errors_say_what_to_do(model, photos, tmp_path, capsys, words, message):
    assert _explain(model, photos, "--out", tmp_path / "out", *words) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_not_empty_is_refused(model, photos, tmp_path, capsys):
    assert _explain(model, photos, "--out", model) == 2
    assert "is not empty" in capsys.readouterr().err


def test_a_missing_model_is_named(photos, tmp_path, capsys):
    assert _explain(tmp_path, photos, "--out", tmp_path / "out") == 2
    assert "model.keras does not exist" in capsys.readouterr().err


def test_a_diverged_model_is_reported_in_one_line(model, photos, tmp_path, capsys):
    diverged = keras.saving.load_model(model / "model.keras")
    diverged.layers[-1].bias.assign([np.nan] * 3)
    diverged.save(tmp_path / "diverged.keras")
    words = [tmp_path / "diverged.keras", photos / "a.png", "--out", tmp_path / "out"]
    assert _explain(*words) == 2
    assert "error: 1 of 1 logits are not finite" in capsys.readouterr().err


@pytest.mark.slow
def test_the_command_runs_and_cannot_be_imported(model, photos, tmp_path):
    out = tmp_path / "out"
    words = [sys.executable, "-m", "proxy_keras.explain", model, photos, "--out", out]
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"overlays, sheets and answers: {out}" in done.stdout
    with pytest.raises(ImportError, match="is a command"):
        import proxy_keras.explain  # noqa: F401
    from proxy_keras import explain as function

    assert callable(function)
