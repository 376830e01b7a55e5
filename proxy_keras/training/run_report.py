"""Report of a run in its folder: conditions, results and figures."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from proxy_keras.data import ImageData
from proxy_keras.data.data_split import DataSplit
from proxy_keras.data.validation_like_training import shares_differ
from proxy_keras.io.atomic_files import write_text_atomically
from proxy_keras.io.csv_text import csv_text
from proxy_keras.metrics import classification
from proxy_keras.metrics.group_accuracy import GroupAccuracy
from proxy_keras.proxy.step_log import StepSummary
from proxy_keras.settings import TrainConfig
from proxy_keras.training.fitting import optimizer_steps
from proxy_keras.training.portable_model import save_portable
from proxy_keras.training.selected_epochs import SelectedEpochs
from proxy_keras.training.selections import LAST, LIKE_TRAINING, OTHER_SHARES, measures_of


def log_settings(config: TrainConfig, folder: Path) -> None:
    """Write the settings for TensorBoard."""
    settings = json.dumps(config.to_dict(), indent=2)
    with tf.summary.create_file_writer(str(folder / "tensorboard" / "config")).as_default(0):
        tf.summary.text("config", "    " + settings.replace("\n", "\n    "))


def _weights_sha256(model: keras.Model) -> str:
    """Return the SHA-256 of all weights in order, in hex."""
    digest = hashlib.sha256()
    for weight in model.weights:
        digest.update(np.ascontiguousarray(keras.ops.convert_to_numpy(weight)).tobytes())
    return digest.hexdigest()


def about(model: keras.Model, data: ImageData, config: TrainConfig) -> dict[str, Any]:
    """Return the conditions of a run: hashes, sizes, versions, devices."""
    return {
        "split_sha256": data.split_sha256,
        "initial_weights_sha256": _weights_sha256(model),
        "training_images": len(data.train),
        "validation_images": len(data.val),
        "groups": {
            split.name: dict(zip(split.groups.names, split.groups.counts.tolist(), strict=True))
            for split in (data.train, data.val, data.test)
            if split.groups.is_known
        },
        "groups_sha256": data.groups.sha256 if data.groups.is_known else None,
        "val_groups": _shares_of_validation(data),
        "optimizer_steps": optimizer_steps(config, config.epochs, len(data.train)),
        "precision": config.precision,
        "classes": data.num_classes,
        "parameters": model.count_params(),
        "versions": {
            "python": platform.python_version(),
            **{
                name: metadata.version(name)
                for name in ("keras", "tensorflow", "keras-hub", "numpy", "pillow")
            },
        },
        "processors": os.cpu_count(),
        "gpus": [d.name for d in tf.config.list_physical_devices("GPU")],
    }


def _shares_of_validation(data: ImageData) -> str | None:
    """Return how the groups of the validation images compare with training; None: unknown."""
    train, val = data.train.groups, data.val.groups
    if not (train.is_known and val.is_known):
        return None
    return OTHER_SHARES if shares_differ(train, val) else LIKE_TRAINING


def write_results(
    folder: Path,
    config: TrainConfig,
    data: ImageData,
    model: keras.Model,
    logits_of: Callable[[DataSplit], NDArray[np.float32]],
    steps: Sequence[StepSummary],
    robust: Mapping[str, Any],
    selected: SelectedEpochs,
    *,
    seconds: float,
    cpu_seconds: float,
    fit_seconds: float,
    determinism: str,
) -> dict[str, Any]:
    """Evaluate a trained model and write `metrics.json`, tables and figures.

    Args:
        folder: The run folder, which holds `history.csv`.
        config: The settings.
        data: The images and their split.
        model: The trained model.
        logits_of: Returns its logits [N, K] for the images of a split.
        steps: The proxy steps.
        robust: What `RobustTraining.report` returned.
        selected: The epochs that validation has selected.
        seconds: Wall-clock time of the epochs.
        cpu_seconds: CPU time of the epochs.
        fit_seconds: Wall-clock time of `fit`, which also saves.
        determinism: Whether operations were deterministic: `on`, `off` or `mixed`.

    Returns:
        The content of `metrics.json`.
    """
    from proxy_keras.io import figures

    metrics: dict[str, Any] = {
        "proxies_made": sum(step.made for step in steps),
        "proxy_steps": [asdict(step) for step in steps],
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "fit_seconds": fit_seconds,
        "op_determinism": determinism,
        **robust,
    }

    def measure(split: DataSplit) -> tuple[classification.Scores, dict[str, Any]]:
        return score_split(logits_of(split), data, split)

    _, metrics["val"] = measure(data.val)
    test, metrics["test"] = measure(data.test)
    _write_test_report(folder, test, data.classes, config.epochs)
    metrics["selected"] = {LAST: {"epoch": config.epochs, "test": measures_of(metrics["test"])}}
    after = {config.epochs: metrics["test"]}
    for name, one in selected.epochs.items():
        if one.epoch != config.epochs:
            with selected.weights_of(one.epoch, model):
                save_portable(model, folder / "selected" / f"{name}.keras")
                if one.epoch not in after:
                    _, after[one.epoch] = measure(data.test)
        metrics["selected"][name] = {**asdict(one), "test": measures_of(after[one.epoch])}
    with (folder / "history.csv").open(newline="", encoding="utf-8") as file:
        history = list(csv.DictReader(file))
    figure = figures.curves(
        [int(row["epoch"]) for row in history],
        {
            "training": [float(row["accuracy"]) for row in history],
            "validation": [float(row["val_accuracy"]) for row in history],
        },
        xlabel="epoch",
        ylabel="accuracy",
        title=f"{Path(config.model).name} on {Path(config.data.source).name}"
        + (" (dashed: proxy steps)" if steps else ""),
        marks=[step.epoch + 1 for step in steps],
    )
    figures.save_pixels(figures.to_array(figure), folder / "curves.png")
    write_text_atomically(folder / "metrics.json", json.dumps(metrics, indent=2) + "\n")
    return metrics


def score_split(
    logits: NDArray[np.float32], data: ImageData, split: DataSplit
) -> tuple[classification.Scores, dict[str, Any]]:
    """Return the scores of the logits [N, K] of a split, also as JSON values with groups."""
    scores = classification.score(logits, split.labels, data.classes)
    is_right = logits.argmax(axis=1) == split.labels
    groups = GroupAccuracy.of(split.groups, is_right, data.train.groups)
    return scores, scores.to_dict() | ({} if groups is None else {"groups": groups.to_dict()})


def _write_test_report(
    folder: Path, scores: classification.Scores, classes: Sequence[str], epochs: int
) -> None:
    from proxy_keras.io import figures

    write_text_atomically(folder / "per_class.csv", csv_text(scores.per_class, ".4f"))
    figure = figures.confusion_matrix(
        scores.confusion,
        classes,
        title=f"test split: {scores.accuracy:.1%} of {scores.examples} correct",
    )
    pixels = figures.to_array(figure)
    figures.save_pixels(pixels, folder / "confusion.png")
    with tf.summary.create_file_writer(str(folder / "tensorboard" / "test")).as_default(epochs):
        tf.summary.image("confusion", pixels[None])
        tf.summary.scalar("test_accuracy", scores.accuracy)
