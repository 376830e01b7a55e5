"""The folder of an evaluation: report, metrics, predictions, image sheets, TensorBoard events."""

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
    """Check that the folder is new, empty, or has an earlier evaluation, even an unfinished one.

    Raises:
        ValueError: It has other files.
        NotADirectoryError: It is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file. Give a folder: --out DIR")
    is_used = folder.exists() and any(folder.iterdir())
    # The schema is written first, so it also marks an interrupted evaluation.
    if is_used and not (folder / SCHEMA).is_file():
        raise ValueError(
            f"{folder} is not empty and is not an evaluation. Give a new or empty folder: --out DIR"
        )


def check_models(folder: Path, model: SavedModel, against: SavedModel | None) -> None:
    """Check that the folder has no report of other models.

    A model with the same content or the same path is the same model, so the report of a model that
    was trained again replaces the earlier one.

    Raises:
        ValueError: It has a report of other models.
    """
    try:
        metrics = json.loads((folder / METRICS).read_text(encoding="utf-8"))
        models = [metrics["model"], metrics.get("against")]
        names = [None if one is None else str(one["name"]) for one in models]
        hashes = [None if one is None else str(one["sha256"]) for one in models]
    # There is no report, or none worth keeping.
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return
    # The report is next to its model, so the last part of the name identifies it.
    is_same = Path(str(names[0])).name == Path(model.name).name or _is_same(
        names[0], hashes[0], model
    )
    if not (is_same and _is_same(names[1], hashes[1], against)):
        found = " against ".join(name for name in names if name is not None)
        raise ValueError(
            f"{folder} has the report of other models ({found}). Give another folder: --out DIR"
        )


def create_folder(folder: Path) -> None:
    """Create the folder and check that it is writable.

    Raises:
        OSError: It cannot be created or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise OSError(
            f"Cannot write to {folder}: {error.strerror or error}. Give another folder: --out DIR"
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
    """Write all files, `metrics.json` after the others so that it always matches them.

    Args:
        folder: The folder.
        metrics: The content of `metrics.json`.
        report: The report.
        results: Results of the model, for `predictions.csv`.
        image_names: Names of the split's images.
        charts: Charts of the report, by name.
        sheets: Image sheets, by name.
        browser: The browser that prints the PDF; None: no PDF.

    Raises:
        RuntimeError: The browser failed to print the PDF.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_text_atomically(folder / SCHEMA, schema_text())
    for name in ("worst", "outside", "disagree"):
        remove(folder / f"{name}.png")
    remove(folder / PDF)
    for name, sheet in sheets.items():
        figures.save_pixels(figures.to_array(sheet), folder / f"{name}.png")
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
    """Return the table of predictions, one row per image."""
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
    groups = results.split.groups
    if groups.is_known:
        # The id of an unknown group takes the last one.
        rows["group"] = np.array([*groups.names, ""])[groups.ids]
    objects = None if results.heatmaps is None else results.heatmaps.objects
    if objects is not None:
        for column, values in (("heat_inside", objects.mass), ("object_area", objects.area)):
            rows[column] = pd.Series(values, index=objects.positions)
    return rows


def _log(folder: Path, metrics: Mapping[str, Any], shown: Mapping[str, Figure]) -> None:
    """Write scores and figures for TensorBoard, replacing those of an earlier evaluation."""
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
