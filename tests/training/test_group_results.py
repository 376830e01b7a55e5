"""A run on grouped images reports the groups and what validation selects."""

from __future__ import annotations

import csv
import json

import keras
import numpy as np
import pytest

from proxy_keras import train

EPOCHS = 3
DRAW = np.random.default_rng(0)
LABELS = np.arange(120) % 2
BACKGROUND = np.where(DRAW.random(120) < 0.8, LABELS, 1 - LABELS)
IMAGES = DRAW.integers(0, 60, (120, 16, 16, 3), dtype=np.uint8)
IMAGES[:, :8] += (150 * BACKGROUND).astype(np.uint8)[:, None, None, None]
IMAGES[:, 8:, ::2] += (60 * LABELS).astype(np.uint8)[:, None, None, None]
PAIRS = zip(LABELS, BACKGROUND, strict=True)
NAMES = np.array([f"class {label} on {where}" for label, where in PAIRS])


@pytest.fixture(scope="module")
def grouped(tmp_path_factory):
    """Return the run folder."""
    folder = tmp_path_factory.mktemp("grouped")
    np.savez(folder / "images.npz", x_train=IMAGES, y_train=LABELS, groups_train=NAMES)
    words = ["--data", f"npz:{folder / 'images.npz'}", "--model", "small_cnn", "--no-proxy"]
    words += ["--epochs", str(EPOCHS), "--val", "0.3", "--test", "0.3", "--batch-size", "16"]
    assert train.main([*words, "--out", str(folder / "run"), "--quiet"]) == 0
    return folder / "run"


def check_accuracy(file, accuracy):
    """Check a saved network on the test images of the split."""
    split = [row for row in read(file.parents[1] / "split.csv") if row["split"] == "test"]
    rows = [int(row["path"].partition("/")[2]) for row in split]
    answers = keras.models.load_model(file).predict(IMAGES[rows].astype(np.float32), verbose=0)
    assert np.mean(answers.argmax(axis=1) == LABELS[rows]) == pytest.approx(accuracy)


def read(file):
    with file.open(newline="") as lines:
        return list(csv.DictReader(lines))


def test_every_epoch_has_its_worst_group(grouped):
    rows = read(grouped / "val_per_group.csv")
    assert {row["group"] for row in rows} == set(NAMES)
    history = read(grouped / "history.csv")
    assert len(history) == EPOCHS
    for epoch, logs in enumerate(history, start=1):
        shares = [int(r["right"]) / int(r["images"]) for r in rows if int(r["epoch"]) == epoch]
        assert float(logs["val_worst_group_accuracy"]) == pytest.approx(min(shares))


def test_metrics_are_those_of_the_last_epoch(grouped):
    metrics = json.loads((grouped / "metrics.json").read_text())
    assert metrics["selected"]["last"]["epoch"] == EPOCHS
    last = read(grouped / "history.csv")[-1]
    worst = metrics["val"]["groups"]["worst_group_accuracy"]
    assert worst == pytest.approx(float(last["val_worst_group_accuracy"]))
    assert metrics["val"]["worst_class_accuracy"] == pytest.approx(
        float(last["val_worst_class_accuracy"])
    )
    about = json.loads((grouped / "run.json").read_text())
    assert {sum(of.values()) for of in about["groups"].values()} == {48, 36}
    trained_on = metrics["test"]["groups"]["per_group"]
    assert {row["group"]: row["training_images"] for row in trained_on} == about["groups"]["train"]


def test_each_selection_has_the_measures_of_its_epoch(grouped):
    metrics = json.loads((grouped / "metrics.json").read_text())
    history = read(grouped / "history.csv")
    for name in ("worst_class", "worst_group"):
        one = metrics["selected"][name]
        values = [float(row[f"val_{name}_accuracy"]) for row in history]
        assert one["value"] == pytest.approx(max(values))
        assert one["epoch"] == 1 + values.index(max(values))
        saved = grouped / "selected" / f"{name}.keras"
        assert saved.exists() == (one["epoch"] < EPOCHS)
        if saved.exists():
            check_accuracy(saved, one["test"]["accuracy"])
    last = metrics["selected"]["last"]["test"]
    assert last["accuracy"] == metrics["test"]["accuracy"]
    assert last["worst_group_accuracy"] == metrics["test"]["groups"]["worst_group_accuracy"]
