"""From training to predictions without TensorFlow, with the real commands."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

# The file computes in float32, so that in bfloat16 a close decision could differ.
TRAIN = "--model small_cnn --epochs 2 --batch-size 16 --no-proxy --lr 3e-3 --quiet".split()
TRAIN += ["--precision", "float32"]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """JPEG files of several sizes in two classes, larger than the model input."""
    folder = tmp_path_factory.mktemp("photos")
    draw = np.random.default_rng(0)
    for number in range(80):
        label = ("bright", "dark")[number % 2]
        (folder / label).mkdir(exist_ok=True)
        height, width = draw.integers(70, 200, 2)
        coarse = draw.integers(0, 140, (6, 6, 3)) + (115 if label == "bright" else 0)
        picture = Image.fromarray(coarse.astype(np.uint8)).resize((width, height))
        picture.save(folder / label / f"{number}.jpg", quality=85)
    return folder


def _test_accuracy(run: Path) -> float:
    return json.loads((run / "metrics.json").read_text())["test"]["accuracy"]


@pytest.mark.slow
def test_the_served_accuracy_equals_that_of_training(commands, squares, tmp_path):
    run, file, pictures = tmp_path / "run", tmp_path / "squares.onnx", tmp_path / "held_out"
    trained = commands.run(
        "-m", "proxy_keras.train", "--data", f"npz:{squares}", *TRAIN, "--out", run
    )
    assert trained.returncode == 0, trained.stderr
    exported = commands.run("-m", "export", run, "--out", file, "--held-out", pictures)
    assert exported.returncode == 0, exported.stderr
    assert "7 images of the validation split" in exported.stdout
    answered = commands.run(
        "-m",
        "serve.predict",
        file,
        pictures,
        "--json",
        tmp_path / "answers.json",
        "--csv",
        tmp_path / "answers.csv",
        "--overlay",
        tmp_path / "overlays",
    )
    assert answered.returncode == 0, answered.stderr
    scores = json.loads((tmp_path / "answers.json").read_text())["scores"]
    assert scores["examples"] == 60
    assert scores["accuracy"] == pytest.approx(_test_accuracy(run), abs=1e-12)
    with open(tmp_path / "answers.csv", encoding="utf-8") as table:
        assert len(list(csv.DictReader(table))) == 60
    overlays = list((tmp_path / "overlays").rglob("*.png"))
    assert len(overlays) == 60
    with Image.open(overlays[0]) as overlay:
        assert overlay.size == (16, 16)


@pytest.mark.slow
def test_held_out_files_are_selected_by_the_split(commands, photos, tmp_path):
    run, file = tmp_path / "run", tmp_path / "photos.onnx"
    trained = commands.run(
        "-m", "proxy_keras.train", "--data", photos, "--image-size", "32", *TRAIN, "--out", run
    )
    assert trained.returncode == 0, trained.stderr
    exported = commands.run("-m", "export", run, "--out", file, "--explain", "layer_cam")
    assert exported.returncode == 0, exported.stderr
    answered = commands.run(
        "-m",
        "serve.predict",
        file,
        photos,
        "--split",
        run / "split.csv",
        "--json",
        tmp_path / "answers.json",
    )
    assert answered.returncode == 0, answered.stderr
    scores = json.loads((tmp_path / "answers.json").read_text())["scores"]
    metrics = json.loads((run / "metrics.json").read_text())["test"]
    assert scores["examples"] == metrics["examples"]
    assert scores["accuracy"] == pytest.approx(metrics["accuracy"], abs=1e-12)
    assert scores["confusion"] == metrics["confusion"]
