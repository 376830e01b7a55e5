"""What is evaluated: a model, the images to evaluate it on, and what is known of its training."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from proxy_keras.config import TrainConfig
from proxy_keras.saved_model import SavedModel
from proxy_keras.subset import Subset


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
    """

    folder: Path
    config: TrainConfig
    facts: dict[str, Any]
    metrics: dict[str, Any]
    history: pd.DataFrame
    sheets: list[Path]

    @classmethod
    def read(cls, folder: Path) -> TrainedRun:
        """The run in a folder.

        Raises:
            FileNotFoundError: The run is not trained to its end.
        """
        if not (folder / "metrics.json").is_file():
            raise FileNotFoundError(
                f"{folder} is not trained to its end. Go on with it first: python -m "
                f"proxy_keras.train --resume --out {folder}"
            )
        return cls(
            folder,
            TrainConfig.load(folder / "config.json"),
            json.loads((folder / "run.json").read_text(encoding="utf-8")),
            json.loads((folder / "metrics.json").read_text(encoding="utf-8")),
            pd.read_csv(folder / "history.csv"),
            sorted((folder / "sheets").glob("proxies_*.png")),
        )


@dataclass(frozen=True)
class Subject:
    """A model that is evaluated.

    Attributes:
        name: What it is called in the report.
        model: The model.
        classes: Names of the K classes that it answers, by class id.
        file: Its file.
        run: Its training; None where that is not known.
        names_assumed: Whether the model has no names, and those of the data are taken in order.
    """

    name: str
    model: keras.Model
    classes: list[str]
    file: Path
    run: TrainedRun | None
    names_assumed: bool = False

    @classmethod
    def of(cls, saved: SavedModel, data_classes: list[str]) -> Subject:
        """A saved model, to be evaluated on images of some classes.

        Raises:
            ValueError: The model has no class names and answers another number of classes than the
                images have.
            FileNotFoundError: It lies in a run folder that is not trained to its end.
        """
        count = saved.model.output_shape[-1]
        if saved.classes is None and count != len(data_classes):
            raise ValueError(
                f"{saved.file} answers {count} classes, the images have {len(data_classes)}. Say "
                "what the model's classes are called: --labels FILE.json, by class id."
            )
        return cls(
            str(saved.file if saved.run is None else saved.run),
            saved.model,
            list(data_classes) if saved.classes is None else saved.classes,
            saved.file,
            None if saved.run is None else TrainedRun.read(saved.run),
            names_assumed=saved.classes is None,
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
                f"The model does not know the classes {', '.join(unknown)} of the images. It knows "
                f"{', '.join(self.classes)}. Name the folders so, or give --labels FILE.json."
            )
        own = np.array([self.classes.index(name) for name in subset.classes])
        return own[subset.labels].astype(np.int64)
