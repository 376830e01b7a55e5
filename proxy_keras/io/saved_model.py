"""Opens a trained model, out of a run folder or a `.keras` file, with the names of its classes."""

from __future__ import annotations

import json
import os
import reprlib
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

import keras

MODEL_FILE = "model.keras"


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

    @property
    def name(self) -> str:
        """The run folder where this is its `model.keras`, else the file."""
        is_of_run = self.run is not None and self.file.name == MODEL_FILE
        return str(self.run if is_of_run else self.file)


def open_saved(
    path: str | os.PathLike[str], labels: str | os.PathLike[str] | None = None
) -> SavedModel:
    """The model that a path names.

    Args:
        path: A run folder, whose `model.keras` is meant, or a `.keras` file.
        labels: JSON file of class names, a list or a dictionary by class id; None: that of the run.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is no Keras model or holds classes that are not registered, it is no
            classifier of colour images, or the names do not belong to it.
    """
    path = Path(path)
    file = path / MODEL_FILE if path.is_dir() else path
    names = None if labels is None else read_class_names(labels)
    if not file.is_file():
        raise FileNotFoundError(
            f"{file} does not exist. Give the folder of a finished run, or a FILE.keras."
        )
    run = file.parent if (file.parent / "config.json").is_file() else None
    beside = file.parent / "labels.json"
    if labels is None and (path.is_dir() or run is not None) and beside.is_file():
        labels, names = beside, read_class_names(beside)
    model = _load(file)
    _check_shapes(model, file)
    count = model.output_shape[-1]
    if names is not None and len(names) != count:
        raise ValueError(
            f"{labels} names {len(names)} classes, but the model answers {count}. Give the file "
            "that belongs to the model."
        )
    return SavedModel(model, names, file, run)


def read_class_names(file: str | os.PathLike[str]) -> list[str]:
    """The class names by class id that a JSON file holds, a list or an object by class id.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It holds something else, or a name twice.
    """
    file = Path(file)
    if not file.is_file():
        raise FileNotFoundError(f"{file} does not exist. Give a JSON file of the class names.")
    try:
        names = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        names, received = None, f"no JSON ({error})"
    else:
        received = reprlib.repr(names)
    if isinstance(names, dict) and names.keys() == {str(n) for n in range(len(names))}:
        names = [names[str(number)] for number in range(len(names))]
    if not isinstance(names, list) or not all(isinstance(name, str | int) for name in names):
        raise ValueError(
            f'{file} must hold a JSON list of the class names by class id, as ["cat", "dog"], or '
            f'an object, as {{"0": "cat", "1": "dog"}}. Received: {received}'
        )
    names = [str(name) for name in names]
    twice = list(dict.fromkeys(name for name in names if names.count(name) > 1))
    if twice:
        raise ValueError(
            f"{file} must name each class once. Received more than once: {', '.join(twice)}. Give "
            "each class a name of its own."
        )
    return names


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
    if not _is_whole(file):
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
    except (ValueError, KeyError, OSError) as error:
        reason = str(error).strip().split("\n", 1)[0].split(". ", 1)[0].rstrip(".")
        raise ValueError(f"{file} cannot be opened: {reason}. Save the model again.") from error


def _is_whole(file: Path) -> bool:
    """Whether it is an archive with a model, each part with the checksum that it had."""
    try:
        with zipfile.ZipFile(file) as archive:
            return "config.json" in archive.namelist() and archive.testzip() is None
    # What a damaged archive raises, by where the damage lies.
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError):
        return False


def _check_shapes(model: keras.Model, file: Path) -> None:
    """Refuses what is no classifier of colour images."""
    given, answered = (getattr(model, f"{end}_shape", None) for end in ("input", "output"))
    if not (_is_shape(given, 4) and given[-1] == 3 and _is_shape(answered, 2)):
        raise ValueError(
            f"{file} must take colour images [B, H, W, 3] and answer a score per class [B, K]. "
            f"Received: input {given}, output {answered}. Give a classifier of colour images."
        )


def _is_shape(shape: Any, rank: int) -> TypeGuard[tuple[int | None, ...]]:
    """Whether it is the shape of one tensor, not of several, and of that rank."""
    one = isinstance(shape, tuple) and all(side is None or isinstance(side, int) for side in shape)
    return one and len(shape) == rank
