"""Evaluations of runs and of an external classifier with the real command."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import jsonschema_rs
import keras
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn import metrics as sklearn_metrics

from proxy_keras import evaluate

pytestmark = pytest.mark.slow

FAST = ["--quiet", "--heat-images", "12"]


@pytest.fixture(scope="module")
def runs(squares, commands, tmp_path_factory) -> Path:
    """Two runs on the same split, "proxies" and "plain", and one on another, "elsewhere".

    In separate processes: training makes all operations of its process deterministic.
    """
    folder = tmp_path_factory.mktemp("runs")
    data = ["--data", f"npz:{squares}", "--model", "small_cnn", "--quiet", "--epochs", "2"]
    data += ["--precision", "float32"]
    for name, *more in (
        ("proxies", "--schedule", "p,1", "--method", "grad_cam", "--select", "all"),
        ("plain", "--no-proxy"),
        ("elsewhere", "--no-proxy", "--split-seed", "7"),
    ):
        done = commands.run("-m", "proxy_keras.train", *data, *more, "--out", folder / name)
        assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def report(runs) -> Path:
    """The folder of an evaluation of one run against the other."""
    words = [str(runs / "proxies"), "--against", str(runs / "plain"), *FAST]
    assert evaluate.main(words) == 0
    return runs / "proxies" / "evaluation_against_plain"


def load(folder: Path) -> dict:
    """Return `metrics.json` after validation against its schema."""
    schema = json.loads((folder / "metrics.schema.json").read_text())
    metrics = json.loads((folder / "metrics.json").read_text())
    jsonschema_rs.Draft202012Validator(schema).validate(metrics)
    return metrics


def failed(words: list[object], capsys) -> str:
    """Return the one line that a failed command prints."""
    assert evaluate.main([str(word) for word in words]) == 2
    said = capsys.readouterr().err.strip()
    assert said.startswith("error: ") and "\n" not in said
    return said


def test_the_folder_is_complete(report):
    assert {path.name for path in report.iterdir()} >= {
        *("report.html", "metrics.json", "metrics.schema.json", "predictions.csv", "tensorboard")
    }
    html = (report / "report.html").read_text()
    for section in ("findings", "failures", "against", "classification", "training", "made"):
        assert f'<section id="{section}">' in html
    # The proxy sheet and the command that repeats the run.
    assert "Proxy step after epoch 1" in html
    assert "python -m proxy_keras.train --config config.json" in html


def test_the_metrics_equal_those_of_scikit_learn_and_of_training(runs, report):
    metrics, rows = load(report), pd.read_csv(report / "predictions.csv")
    scores = metrics["classification"]
    assert scores["examples"] == len(rows) == 60
    by_class = sklearn_metrics.classification_report(
        rows["true"], rows["predicted"], output_dict=True, zero_division=0.0
    )
    assert scores["accuracy"] == pytest.approx(by_class["accuracy"])
    assert scores["macro_f1"] == pytest.approx(by_class["macro avg"]["f1-score"])
    for row in scores["per_class"]:
        for name, theirs in (("precision",) * 2, ("recall",) * 2, ("f1", "f1-score")):
            assert row[name] == pytest.approx(by_class[row["class"]][theirs])
    own = json.loads((runs / "proxies" / "metrics.json").read_text())
    assert scores["accuracy"] == pytest.approx(own["test"]["accuracy"])
    assert scores["loss"] == pytest.approx(own["test"]["loss"], rel=1e-4)


def test_the_heatmaps_are_of_another_method_than_in_training(report):
    heat = load(report)["heatmaps"]
    assert heat["method"] == "layer_cam" and heat["images"] == 12
    assert "made its proxies with grad_cam" in heat["why"]


def test_the_test_split_is_evaluated_and_its_hash_is_given(runs, report):
    data = load(report)["data"]
    assert (data["split"], data["images"]) == ("test", 60)
    assert data["split_sha256"] in (runs / "proxies" / "split.sha256").read_text()
    assert "not trained on them" in data["seen_in_training"]


def test_the_other_run_is_compared_on_the_same_images(runs, report):
    against = load(report)["against"]
    own = json.loads((runs / "plain" / "metrics.json").read_text())
    assert against["scores"]["accuracy"]["other"] == pytest.approx(own["test"]["accuracy"])
    disagreement = against["disagree"]
    gap = (disagreement["only_this_right"] - disagreement["only_other_right"]) / 60
    assert against["scores"]["accuracy"]["difference"] == pytest.approx(gap)


def test_the_same_command_gives_the_same_numbers(runs, report):
    first = load(report)
    words = [str(runs / "proxies"), "--against", str(runs / "plain"), *FAST]
    assert evaluate.main(words) == 0
    assert load(report) == first


@pytest.fixture(scope="module")
def external(tmp_path_factory) -> tuple[Path, Path]:
    """An external classifier and a folder of images with boxes.

    Class by the brightest channel; the object is a bright square. The model knows the classes in
    a different order than the folder, plus one more.
    """
    root = tmp_path_factory.mktemp("external")
    draw = np.random.default_rng(0)
    boxes = ["file,x0,y0,x1,y1"]
    for name, channel in (("blue", 2), ("green", 1), ("red", 0)):
        folder = root / "photos" / name
        folder.mkdir(parents=True)
        for number in range(6):
            pixels = np.full((16, 16, 3), 20, np.uint8)
            x, y = draw.integers(0, 10, 2)
            pixels[y : y + 6, x : x + 6, channel] = 250
            Image.fromarray(pixels).save(folder / f"{number}.png")
            boxes.append(f"{name}/{number}.png,{x},{y},{x + 5},{y + 5}")
    # One green image of class red is the only error, with a blank heatmap.
    pixels[...] = (0, 250, 0)
    Image.fromarray(pixels).save(root / "photos" / "red" / "0.png")
    (root / "photos" / "boxes.csv").write_text("\n".join(boxes) + "\n")
    layers = [
        keras.Input((16, 16, 3)),
        keras.layers.Conv2D(4, 1, use_bias=False),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(4, use_bias=False, activation="softmax"),
    ]
    model = keras.Sequential(layers)
    model.layers[0].set_weights([np.eye(3, 4)[None, None] / 25.0])
    model.layers[2].set_weights([np.eye(4)])
    model.save(root / "colours.keras")
    (root / "labels.json").write_text(json.dumps(["red", "green", "blue", "grey"]))
    return root / "colours.keras", root / "photos"


def test_an_external_classifier_is_evaluated_with_its_own_classes(external, tmp_path):
    model, photos = external
    words = [model, "--data", photos, "--labels", model.parent / "labels.json", "--out", tmp_path]
    assert evaluate.main([*map(str, words), "--quiet", "--no-corruptions"]) == 0
    metrics = load(tmp_path)
    assert (
        metrics["data"]["split"] == "all"
        and "may have been trained on" in (metrics["data"]["seen_in_training"])
    )
    assert metrics["model"]["classes"] == ["red", "green", "blue", "grey"]
    assert metrics["classification"]["accuracy"] == pytest.approx(17 / 18)
    worst = metrics["mistakes"]["worst"]
    assert [(one["image"], one["true"], one["predicted"]) for one in worst] == [
        ("red/0.png", "red", "green")
    ]
    # Heat and objects are bright squares; a blank heatmap is not off the object.
    objects = metrics["heatmaps"]["objects"]
    assert objects["images"] == 18 and objects["mass_inside"]["mean"] == pytest.approx(17 / 18)
    assert metrics["heatmaps"]["blank"] == 1
    assert [one["image"] for one in metrics["mistakes"]["heat_outside"]] == []
    assert metrics["robustness"] is None and not (photos / "evaluation").exists()


def test_class_names_default_to_those_of_the_images_if_as_many(external, capsys):
    model, photos = external
    said = failed([model, "--data", photos, *FAST], capsys)
    assert "has 4 classes, but the images have 3" in said and "--labels FILE.json" in said


def test_unknown_classes_are_named(external, capsys, tmp_path):
    model, photos = external
    names = tmp_path / "names.json"
    names.write_text(json.dumps(["red", "green", "violet", "grey"]))
    said = failed([model, "--data", photos, "--labels", names, *FAST], capsys)
    assert "does not have the classes blue" in said


def test_what_cannot_be_evaluated_is_refused_in_one_line(runs, external, capsys, tmp_path):
    model, photos = external
    proxies = runs / "proxies"
    assert "Give the images to evaluate: --data SRC" in failed([model], capsys)
    assert "does not exist" in failed([tmp_path / "nothing"], capsys)
    other = failed([proxies, "--against", runs / "elsewhere", *FAST], capsys)
    assert "trained with another split" in other and "may have seen these images" in other
    (tmp_path / "photo.txt").write_text("mine")
    assert "is not an evaluation" in failed([proxies, "--out", tmp_path, *FAST], capsys)
    assert (tmp_path / "photo.txt").read_text() == "mine" and len(list(tmp_path.iterdir())) == 1
    assert "--image-size" in failed([model, "--data", photos, "--image-size", "32", *FAST], capsys)
    assert "`heat_images` must be >= 0" in failed([proxies, "--heat-images", "-1"], capsys)
    assert "no_such_layer" in failed([proxies, "--target-layer", "no_such_layer", *FAST], capsys)
    assert "these images are not files" in failed([proxies, "--masks", tmp_path, *FAST], capsys)
    named = [model, "--data", photos, "--labels", model.parent / "labels.json", *FAST]
    assert "none.csv" in failed([*named, "--boxes", tmp_path / "none.csv"], capsys)


def test_an_unfinished_run_is_refused(runs, capsys, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(runs / "plain", run)
    (run / "metrics.json").unlink()
    said = failed([run, *FAST], capsys)
    assert "has not finished training" in said and "--resume" in said


def test_the_report_fits_a_phone_and_a_desk_and_asks_for_nothing(report, browser):
    page = browser.new_page()
    asked, said = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    for width in (390, 1280):
        page.set_viewport_size({"width": width, "height": 844})
        page.goto((report / "report.html").as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        broken = page.evaluate("[...document.images].filter(i => !i.naturalWidth).length")
        assert broken == 0
    assert {url.split(":")[0] for url in asked} <= {"file", "data"} and not said
    assert page.locator("h2").all_inner_texts()[:2] == ["Findings", "Errors"]


def test_the_report_is_printed_on_request(runs, run_command, tmp_path):
    words = ("-m", "proxy_keras.evaluate", runs / "plain", "--out", tmp_path / "x")
    done = run_command(*words, "--pdf", "--no-corruptions", "--heat-images", 0, "--quiet")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "x" / "report.pdf").read_bytes().startswith(b"%PDF-")
    lines = done.stdout.strip().splitlines()
    assert "of 60 images are classified correctly" in lines[0]
    assert lines[-1] == f"report: {tmp_path / 'x' / 'report.html'}"
    assert load(tmp_path / "x")["heatmaps"] is None
