"""Opens a trained model, out of a run folder or a `.keras` file, with the names of its classes."""

from __future__ import annotations

import json
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path

import keras


@dataclass(frozen=True)
class SavedModel:
    """A model as it was saved.

    Attributes:
        model: The model, not compiled.
        classes: Class names by class id; None where they are not known.
        file: The `.keras` file.
        run: The run folder that the file lies in; None for a file on its own.
    """

    model: keras.Model
    classes: list[str] | None
    file: Path
    run: Path | None


def open_saved(
    path: str | os.PathLike[str], labels: str | os.PathLike[str] | None = None
) -> SavedModel:
    """The model that a path names.

    Args:
        path: A run folder, whose `model.keras` is meant, or a `.keras` file.
        labels: JSON file of class names, a list or a dictionary by class id; None: that of the run.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is no Keras model or holds classes that are not registered, or the
            names do not belong to it.
    """
    path = Path(path)
    file = path / "model.keras" if path.is_dir() else path
    if not file.is_file():
        raise FileNotFoundError(
            f"{file} does not exist. Give the folder of a finished run, or a FILE.keras."
        )
    model = _load(file)
    run = file.parent if (file.parent / "config.json").is_file() else None
    beside = file.parent / "labels.json"
    if labels is None and (path.is_dir() or run is not None) and beside.is_file():
        labels = beside
    classes = None if labels is None else _class_names(Path(labels), model.output_shape[-1])
    return SavedModel(model, classes, file, run)


def image_size(model: keras.Model, side: int | None = None) -> tuple[int, int]:
    """(height, width) of the images that a model takes.

    Args:
        model: The model.
        side: The size to use for a model that takes images of any; None: it must have its own.

    Raises:
        ValueError: The model takes any size and none is given, or it takes another.
    """
    height, width = model.input_shape[1:3]
    if height is None or width is None:
        if side is None:
            raise ValueError("The model takes images of any size. Say which: --image-size P")
        return side, side
    if side is not None and (height, width) != (side, side):
        raise ValueError(
            f"The model takes images of {height} x {width} pixels. Leave --image-size out."
        )
    return height, width


def _load(file: Path) -> keras.Model:
    if not zipfile.is_zipfile(file):
        raise ValueError(f"{file} is no .keras file, or is damaged. Save the model again.")
    try:
        return keras.saving.load_model(file, compile=False)
    except TypeError as error:
        # What Keras raises, with the model's whole configuration, where a class is not known.
        reason = str(error).rsplit("Exception encountered: ", 1)[-1].split(". ", 1)[0]
        raise ValueError(
            f"{file} cannot be opened: {reason}. A command knows Keras' own classes only; for a "
            "model with others, do this in Python, after they are defined and registered."
        ) from error


def _class_names(labels: Path, count: int) -> list[str]:
    names = json.loads(labels.read_text(encoding="utf-8"))
    if isinstance(names, dict):
        names = [names[str(number)] for number in range(len(names))]
    if len(names) != count:
        raise ValueError(
            f"{labels} names {len(names)} classes, but the model answers {count}. Give the file "
            "that belongs to the model."
        )
    return [str(name) for name in names]
