"""Writes an evaluation: report, numbers, predictions, sheets, and all of it for TensorBoard."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf
from matplotlib.figure import Figure

from proxy_keras.evaluating.metrics_file import schema_text
from proxy_keras.evaluating.model_results import ModelResults
from proxy_keras.evaluating.report_page import to_html, write_pdf
from proxy_keras.evaluating.report_parts import Report
from proxy_keras.io import figures
from proxy_keras.io.atomic_files import remove, write_atomically, write_text_atomically
from proxy_keras.io.saved_model import SavedModel

METRICS, SCHEMA, REPORT, PDF = "metrics.json", "metrics.schema.json", "report.html", "report.pdf"


def check_folder(folder: Path) -> None:
    """Returns if the folder is new, empty, or holds an earlier evaluation, whole or not.

    Raises:
        ValueError: It holds something else.
        NotADirectoryError: It is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file. Give a folder as --out.")
    is_used = folder.exists() and any(folder.iterdir())
    # Written first, so that it tells of an evaluation that was broken off, too.
    if is_used and not (folder / SCHEMA).is_file():
        raise ValueError(
            f"{folder} holds something else than an evaluation. Give a new or empty folder as "
            "--out."
        )


def check_models(folder: Path, model: SavedModel, against: SavedModel | None) -> None:
    """Returns unless the folder holds the report of other models.

    A model is the same if it is the same file by its content or its path: one that was trained
    anew replaces its earlier report.

    Raises:
        ValueError: It holds one; the message says of which.
    """
    try:
        metrics = json.loads((folder / METRICS).read_text(encoding="utf-8"))
        told = [metrics["model"], metrics.get("against")]
        names = [None if one is None else str(one["name"]) for one in told]
        hashes = [None if one is None else str(one["sha256"]) for one in told]
    # None there, or none that could be lost.
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return
    # The report lies beside its model, so there the last part of the name says enough.
    is_same = Path(str(names[0])).name == Path(model.name).name or _is_same(
        names[0], hashes[0], model
    )
    if not (is_same and _is_same(names[1], hashes[1], against)):
        told_of = " against ".join(name for name in names if name is not None)
        raise ValueError(
            f"{folder} holds the report of other models ({told_of}). Give another folder: --out DIR"
        )


def create_folder(folder: Path) -> None:
    """Makes the folder, and finds out whether it can be written.

    Raises:
        OSError: It cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise OSError(
            f"{folder} cannot be written: {error.strerror or error}. Give another folder: --out DIR"
        ) from error


def write_folder(
    folder: Path,
    metrics: Mapping[str, Any],
    report: Report,
    results: ModelResults,
    image_names: list[str],
    charts: Mapping[str, Figure],
    sheets: Mapping[str, Figure],
    browser: str | None,
) -> None:
    """Writes all files; `metrics.json` last, so that it belongs to what lies beside it.

    Args:
        folder: Where.
        metrics: The content of `metrics.json`.
        report: The report.
        results: The results_of_answers, for `predictions.csv`.
        image_names: Of the split's images.
        charts: Of the report, by name.
        sheets: Sheets of images, by name.
        browser: What prints the PDF; None: none is wanted.

    Raises:
        RuntimeError: The browser cannot print it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_text_atomically(folder / SCHEMA, schema_text())
    for name in ("worst", "outside", "disagree"):
        remove(folder / f"{name}.png")
    remove(folder / PDF)
    for name, sheet in sheets.items():
        write_atomically(folder / f"{name}.png", sheet.savefig)
    rows = _predictions(results, image_names)
    write_text_atomically(folder / "predictions.csv", rows.to_csv(index=False, float_format="%.6g"))
    write_text_atomically(folder / REPORT, to_html(report))
    if browser is not None:
        write_atomically(folder / PDF, lambda pdf: write_pdf(folder / REPORT, pdf, browser))
    write_text_atomically(folder / METRICS, json.dumps(metrics, indent=2) + "\n")
    _log(folder / "tensorboard", metrics, {**charts, **sheets})


def _is_same(name: str | None, sha256: str | None, model: SavedModel | None) -> bool:
    if name is None or model is None:
        return name is None and model is None
    if Path(name).resolve() == Path(model.name).resolve():
        return True
    return sha256 == hashlib.sha256(model.file.read_bytes()).hexdigest()


def _predictions(results: ModelResults, image_names: list[str]) -> pd.DataFrame:
    """A row per image."""
    given, classes = results.predictions, np.array(results.model.classes)
    rows = pd.DataFrame(
        {
            "image": image_names,
            "true": classes[given.labels],
            "predicted": classes[given.predicted],
            "right": given.is_right,
            "confidence": given.confidence,
        }
    )
    objects = None if results.heatmaps is None else results.heatmaps.objects
    if objects is not None:
        for column, values in (("heat_inside", objects.mass), ("object_area", objects.area)):
            rows[column] = pd.Series(values, index=objects.positions)
    return rows


def _log(folder: Path, metrics: Mapping[str, Any], shown: Mapping[str, Figure]) -> None:
    """The same numbers and figures for TensorBoard, in place of those of an earlier evaluation."""
    remove(folder)
    with tf.summary.create_file_writer(str(folder)).as_default(0):
        for part, names in (
            ("classification", ("accuracy", "top5", "loss", "macro_f1")),
            ("calibration", ("ece", "brier")),
        ):
            for name in names:
                tf.summary.scalar(f"evaluation/{name}", metrics[part][name])
        for name, figure in shown.items():
            tf.summary.image(f"evaluation/{name}", figures.to_array(figure)[np.newaxis])
