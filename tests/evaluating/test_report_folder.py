"""The folder of an evaluation: which files are written, replaced or never touched."""

import json

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from matplotlib.figure import Figure

from proxy_keras.evaluating.report_folder import check_folder, write_folder
from proxy_keras.evaluating.report_parts import Report
from tests.evaluating.example_results import heatmap_scores, localisation, results_of_answers
from tests.evaluating.test_findings import metrics_of

LABELS = np.repeat([0, 1, 2], 4)
ANSWERS = np.array([0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2, 2])
NAMES = [f"{number}.png" for number in range(12)]


def write(folder, answers, objects=None, sheets=("worst",)):
    results = results_of_answers(LABELS, answers, heatmaps=heatmap_scores(12, objects))
    metrics = metrics_of(results)
    report = Report("Title", "Subtitle", [], [])
    charts = {"confusion": Figure(figsize=(1, 1))}
    pictures = {name: Figure(figsize=(1, 1)) for name in sheets}
    write_folder(folder, metrics, report, results, NAMES, charts, pictures, None)
    return metrics


def test_all_files_are_written(tmp_path):
    folder = tmp_path / "new" / "evaluation"
    inside = np.linspace(0.1, 0.9, 12)
    objects = localisation(inside, np.full(12, 0.25))
    metrics = write(folder, ANSWERS, objects, ("worst", "outside"))
    assert "<h1>Title</h1>" in (folder / "report.html").read_text()
    assert {path.name for path in folder.iterdir()} == {
        *("report.html", "metrics.json", "metrics.schema.json", "predictions.csv"),
        *("worst.png", "outside.png", "tensorboard"),
    }
    assert json.loads((folder / "metrics.json").read_text()) == metrics
    rows = pd.read_csv(folder / "predictions.csv")
    assert rows["image"].tolist() == NAMES
    assert rows["true"].tolist() == np.array(["cat", "dog", "owl"])[LABELS].tolist()
    assert rows["predicted"].tolist() == np.array(["cat", "dog", "owl"])[ANSWERS].tolist()
    assert rows["right"].tolist() == (LABELS == ANSWERS).tolist()
    np.testing.assert_allclose(rows["confidence"], 0.9, rtol=1e-5)
    np.testing.assert_allclose(rows["heat_inside"], inside, rtol=1e-5)
    assert set(rows["object_area"]) == {0.25}


def test_tensorboard_has_the_numbers_and_the_figures(tmp_path):
    metrics = write(tmp_path, ANSWERS)
    (events,) = (tmp_path / "tensorboard").iterdir()
    values, images = {}, set()
    for record in tf.data.TFRecordDataset(str(events)).as_numpy_iterator():
        for value in tf.compat.v1.Event.FromString(record).summary.value:
            if value.metadata.plugin_data.plugin_name == "images":
                images.add(value.tag)
            else:
                values[value.tag] = float(tf.make_ndarray(value.tensor))
    assert values["evaluation/accuracy"] == pytest.approx(11 / 12)
    assert values["evaluation/ece"] == pytest.approx(metrics["calibration"]["ece"], rel=1e-6)
    assert images == {"evaluation/confusion", "evaluation/worst"}


def test_a_later_evaluation_replaces_the_earlier_one(tmp_path):
    write(tmp_path, ANSWERS)
    (tmp_path / "report.pdf").write_bytes(b"of an earlier evaluation")
    (tmp_path / "notes.txt").write_text("mine")
    check_folder(tmp_path)
    write(tmp_path, LABELS, sheets=())
    left = {path.name for path in tmp_path.iterdir()}
    assert not {"worst.png", "report.pdf"} & left and "notes.txt" in left
    assert len(list((tmp_path / "tensorboard").iterdir())) == 1


def test_a_folder_of_something_else_is_refused(tmp_path):
    check_folder(tmp_path / "new")
    check_folder(tmp_path)
    (tmp_path / "photo.jpg").write_bytes(b"x")
    with pytest.raises(ValueError, match="is not empty and is not an evaluation"):
        check_folder(tmp_path)


def test_an_evaluation_that_was_broken_off_can_be_written_again(tmp_path, monkeypatch):
    with pytest.raises(ZeroDivisionError), monkeypatch.context() as broken:
        broken.setattr(pd.DataFrame, "to_csv", lambda *_, **__: 1 / 0)
        write(tmp_path, ANSWERS)
    assert not (tmp_path / "metrics.json").exists()
    check_folder(tmp_path)
    write(tmp_path, ANSWERS)
    assert (tmp_path / "metrics.json").is_file()
