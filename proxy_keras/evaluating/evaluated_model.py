"""What is evaluated: a model, the images to evaluate it on, and what is known of its training."""

from __future__ import annotations

import hashlib
import io
import json
import re
import reprlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import is_numeric_dtype

from proxy_keras.data.data_split import Subset
from proxy_keras.io.saved_model import SavedModel
from proxy_keras.settings import TrainConfig

STEP = ("epoch", "wrong", "chosen", "made")
HISTORY = ("epoch", "accuracy", "loss", "val_accuracy", "val_loss")


@dataclass(frozen=True)
class TrainedRun:
    """What a run folder tells of the training.

    Attributes:
        folder: The run folder.
        config: The settings.
        facts: The content of `run.json`.
        metrics: The content of `metrics.json`.
        history: A row per epoch.
        sheets: The pictures of its proxy steps, in order.
        split_sha256: The hash of its split, in hex.
    """

    folder: Path
    config: TrainConfig
    facts: dict[str, Any]
    metrics: dict[str, Any]
    history: pd.DataFrame
    sheets: list[Path]
    split_sha256: str

    @classmethod
    def read(cls, folder: Path) -> TrainedRun:
        """The run in a folder.

        Raises:
            FileNotFoundError: The run is not trained to its end, or a file of it is missing.
            ValueError: A file does not hold what a training wrote.
        """
        if not (folder / "metrics.json").is_file():
            raise FileNotFoundError(
                f"{folder} is not trained to its end. Go on with it first: python -m "
                f"proxy_keras.train --resume --out {folder}"
            )
        return cls(
            folder,
            _settings(folder / "config.json"),
            _object(folder / "run.json"),
            _metrics(folder / "metrics.json"),
            _history(folder / "history.csv"),
            sorted((folder / "sheets").glob("proxies_*.png")),
            _hash(folder / "split.sha256"),
        )


def _damaged(file: Path, rule: str, received: object) -> ValueError:
    """The error for a file of a run that does not hold what a training wrote."""
    return ValueError(
        f"{file} {rule}. Received: {received}. Bring back the file as the training wrote it, or "
        "train again."
    )


def _text(file: Path) -> str:
    if not file.is_file():
        raise FileNotFoundError(
            f"{file} does not exist, so {file.parent} is no whole run. Bring back the file, or "
            "train again."
        )
    return file.read_text(encoding="utf-8", errors="replace")


def _object(file: Path) -> dict[str, Any]:
    """A JSON object."""
    text = _text(file)
    try:
        values = json.loads(text)
    except ValueError as error:
        raise _damaged(file, "must hold a JSON object", f"no JSON ({error})") from error
    if not isinstance(values, dict):
        raise _damaged(file, "must hold a JSON object", reprlib.repr(values))
    return values


def _settings(file: Path) -> TrainConfig:
    values = _object(file)
    rule = "must hold the settings of a training"
    try:
        return TrainConfig.from_dict(values)
    except ValueError as error:
        raise _damaged(file, rule, error) from error


def _metrics(file: Path) -> dict[str, Any]:
    """The results, with what the report takes of each proxy step."""
    metrics = _object(file)
    steps = metrics.get("proxy_steps")
    is_known = isinstance(steps, list) and all(
        isinstance(step, dict) and all(isinstance(step.get(name), int) for name in STEP)
        for step in steps
    )
    if not is_known:
        rule = f"must hold the training's results, with {', '.join(STEP)} of all `proxy_steps`"
        raise _damaged(file, rule, reprlib.repr(metrics))
    return metrics


def _history(file: Path) -> pd.DataFrame:
    """A row per epoch, with what the report draws."""
    text = _text(file)
    try:
        history = pd.read_csv(io.StringIO(text))
    # pandas' own errors among them.
    except ValueError as error:
        raise _damaged(file, "must be a table of the epochs", error) from error
    drawn = [name for name in HISTORY if name in history and is_numeric_dtype(history[name])]
    if drawn != list(HISTORY) or not len(history):
        received = f"{len(history)} rows of {', '.join(map(str, history))}"
        raise _damaged(file, f"must have a row per epoch, with {', '.join(HISTORY)}", received)
    return history


def _hash(file: Path) -> str:
    """A hash, in hex; a file name behind it, as other tools write, is left out."""
    text = _text(file)
    found = re.match(r"\s*([0-9a-f]{64})\b", text)
    if found is None:
        raise _damaged(file, "must hold the SHA-256 of the run's split", reprlib.repr(text))
    return found[1]


@dataclass(frozen=True)
class EvaluatedModel:
    """A model that is evaluated.

    Attributes:
        name: What it is called in the report.
        keras_model: The Keras model.
        classes: Names of the K classes that it answers, by class id.
        file: Its file.
        run: Its training; None where that is not known.
        names_assumed: Whether the model has no names, and those of the data are taken in order.
        labels_option: The option that names its classes, for messages.
    """

    name: str
    keras_model: keras.Model
    classes: list[str]
    file: Path
    run: TrainedRun | None
    names_assumed: bool = False
    labels_option: str = "--labels"

    @classmethod
    def of(
        cls,
        saved: SavedModel,
        run: TrainedRun | None,
        data_classes: list[str],
        labels_option: str = "--labels",
    ) -> EvaluatedModel:
        """A saved model, to be evaluated on images of some classes.

        Args:
            saved: The model.
            run: Its training; None: not known.
            data_classes: The classes of the images.
            labels_option: The option that names its classes, for messages.

        Raises:
            ValueError: The model has no class names and answers another number of classes than the
                images have.
        """
        count = saved.model.output_shape[-1]
        if saved.classes is None and count != len(data_classes):
            raise ValueError(
                f"{saved.file} answers {count} classes, the images have {len(data_classes)}. Say "
                f"what the model's classes are called: {labels_option} FILE.json, by class id."
            )
        return cls(
            saved.name,
            saved.model,
            list(data_classes) if saved.classes is None else saved.classes,
            saved.file,
            run,
            names_assumed=saved.classes is None,
            labels_option=labels_option,
        )

    @property
    def sha256(self) -> str:
        """SHA-256 of the model's file, in hex."""
        return hashlib.sha256(self.file.read_bytes()).hexdigest()

    def class_ids(self, subset: Subset) -> NDArray[np.int64]:
        """[N] the true classes of a subset's images, by the model's own class ids.

        Raises:
            ValueError: The images have a class that the model does not know.
        """
        unknown = [name for name in subset.classes if name not in self.classes]
        if unknown:
            raise ValueError(
                f"{self.name} does not know the classes {', '.join(unknown)} of the images. It "
                f"knows {', '.join(self.classes)}. Name the folders so, or give "
                f"{self.labels_option} FILE.json."
            )
        own = np.array([self.classes.index(name) for name in subset.classes])
        return own[subset.labels].astype(np.int64)
