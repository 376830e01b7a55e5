"""A model to evaluate and the run folder of its training."""

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

from proxy_keras.data.data_split import DataSplit
from proxy_keras.io.names import canonical
from proxy_keras.io.saved_model import SavedModel
from proxy_keras.settings import TrainConfig

STEP = ("epoch", "wrong", "chosen", "made")
HISTORY = ("epoch", "accuracy", "loss", "val_accuracy", "val_loss")


@dataclass(frozen=True)
class TrainedRun:
    """The contents of a run folder.

    Attributes:
        folder: The run folder.
        config: The settings.
        facts: The content of `run.json`.
        metrics: The content of `metrics.json`.
        history: One row per epoch.
        sheets: Images of its proxy steps, in order.
        split_sha256: SHA-256 of its split, in hex.
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
        """Read a run folder.

        Raises:
            FileNotFoundError: The run has not finished, or one of its files is missing.
            ValueError: A file is not as the training run wrote it.
        """
        if not (folder / "metrics.json").is_file():
            raise FileNotFoundError(
                f"The run in {folder} has not finished training. Resume it first: python -m "
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
    """Return the error for a damaged file of a run."""
    return ValueError(f"{file} {rule}. Received: {received}. Restore the file, or train again.")


def _text(file: Path) -> str:
    if not file.is_file():
        raise FileNotFoundError(
            f"{file} does not exist, so {file.parent} is not a complete run. Restore the file, or "
            "train again."
        )
    return file.read_text(encoding="utf-8", errors="replace")


def _object(file: Path) -> dict[str, Any]:
    text = _text(file)
    try:
        values = json.loads(text)
    except ValueError as error:
        raise _damaged(file, "must contain a JSON object", f"invalid JSON ({error})") from error
    if not isinstance(values, dict):
        raise _damaged(file, "must contain a JSON object", reprlib.repr(values))
    return values


def _settings(file: Path) -> TrainConfig:
    values = _object(file)
    rule = "must contain the settings of a training run"
    try:
        return TrainConfig.from_dict(values)
    except ValueError as error:
        raise _damaged(file, rule, error) from error


def _metrics(file: Path) -> dict[str, Any]:
    metrics = _object(file)
    steps = metrics.get("proxy_steps")
    is_known = isinstance(steps, list) and all(
        isinstance(step, dict) and all(isinstance(step.get(name), int) for name in STEP)
        for step in steps
    )
    if not is_known:
        rule = f"must contain the run's results, with {', '.join(STEP)} for each of `proxy_steps`"
        raise _damaged(file, rule, reprlib.repr(metrics))
    return metrics


def _history(file: Path) -> pd.DataFrame:
    text = _text(file)
    try:
        history = pd.read_csv(io.StringIO(text))
    except ValueError as error:  # Base class of the errors of pandas.
        raise _damaged(file, "must be a CSV table of epochs", error) from error
    drawn = [name for name in HISTORY if name in history and is_numeric_dtype(history[name])]
    if drawn != list(HISTORY) or not len(history):
        received = f"{len(history)} rows with {', '.join(map(str, history))}"
        raise _damaged(file, f"must have one row per epoch, with {', '.join(HISTORY)}", received)
    return history


def _hash(file: Path) -> str:
    """Return the hash in hex, without the file name that other tools write after it."""
    text = _text(file)
    found = re.match(r"\s*([0-9a-f]{64})\b", text)
    if found is None:
        raise _damaged(file, "must contain the SHA-256 of the run's split", reprlib.repr(text))
    return found[1]


@dataclass(frozen=True)
class EvaluatedModel:
    """A model to evaluate.

    Attributes:
        name: Its name in the report.
        keras_model: The Keras model.
        classes: Names of its K classes, by class id.
        file: Its file.
        run: Its training run; None if unknown.
        names_assumed: Whether the class names are those of the data because the model has none.
        labels_option: The option that sets its class names, for messages.
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
        """Create one from a saved model.

        Args:
            saved: The model.
            run: Its training run; None if unknown.
            data_classes: Class names of the images, used if the model has none.
            labels_option: The option that sets its class names, for messages.

        Raises:
            ValueError: The model has no class names, and its number of classes differs from that
                of the images.
        """
        count = saved.model.output_shape[-1]
        if saved.classes is None and count != len(data_classes):
            raise ValueError(
                f"{saved.file} has {count} classes, but the images have {len(data_classes)}. Give "
                f"the model's class names in order of class id: {labels_option} FILE.json"
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

    def class_ids(self, split: DataSplit) -> NDArray[np.int64]:
        """Return the true classes of a split's images as class ids of the model, [N].

        Raises:
            ValueError: The images have a class that the model does not have.
        """
        # A folder and a file of class names may be in different Unicode normal forms.
        class_id_of = {canonical(name): at for at, name in enumerate(self.classes)}
        unknown = [name for name in split.classes if canonical(name) not in class_id_of]
        if unknown:
            raise ValueError(
                f"{self.name} does not have the classes {', '.join(unknown)} of the images. Its "
                f"classes are {', '.join(self.classes)}. Rename the folders of the images, or give "
                f"the class names of the model: {self.labels_option} FILE.json"
            )
        own = np.array([class_id_of[canonical(name)] for name in split.classes])
        return own[split.labels].astype(np.int64)
