"""The folder of saved cues: the classifier, the clusters, the examined images, the verdicts."""

from __future__ import annotations

import dataclasses
import json
import os
import random
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from proxy_keras.cues.cell_reader import CellReader
from proxy_keras.cues.clustering import CellClusters
from proxy_keras.cues.cue_files import check_exists, damaged, read_json, save_arrays
from proxy_keras.cues.cue_tree import CueTree
from proxy_keras.cues.examined import ExaminedImages
from proxy_keras.cues.saved_arrays import read_images, read_tree
from proxy_keras.cues.verdicts import Verdicts
from proxy_keras.io.atomic_files import UNFINISHED, remove, write_atomically, write_text_atomically
from proxy_keras.io.saved_model import load_model

FORMAT = 1
CUES_FILE = "cues.json"
VERDICTS_FILE = "verdicts.json"
MODEL_FILE = "network.keras"
_CLUSTERS_FILE = "clusters.npz"
_IMAGES_FILE = "images.npz"
# `cues.json` is moved last: a folder without it does not load.
_FILES = (MODEL_FILE, _CLUSTERS_FILE, _IMAGES_FILE, VERDICTS_FILE, CUES_FILE)
_STAGING = f"cues{UNFINISHED}"


@dataclasses.dataclass(frozen=True)
class SavedCues:
    """The content of a folder of cues.

    Attributes:
        model: The classifier.
        reader: Reads its cells.
        tree: The clusters, and the cues that are shown.
        images: The images in which they were found.
        verdicts: What was said of them.
        classes: Names of the K classes; None: unknown.
        weights: The weights to save with the model; None: its own.
    """

    model: keras.Model
    reader: CellReader
    tree: CueTree
    images: ExaminedImages
    verdicts: Verdicts
    classes: list[str] | None
    weights: list[NDArray[Any]] | None = None


def save_folder(folder: Path, cues: SavedCues, facts: list[dict[str, Any]]) -> None:
    """Write cues to a folder, replacing earlier ones.

    All files are written before the first is replaced, so a failure leaves the earlier cues as they
    were, and a crash in between leaves a folder that does not load. Other files are not touched.

    Args:
        folder: Made if it does not exist.
        cues: The cues.
        facts: The facts about each shown cue, for `cues.json`.

    Raises:
        FileExistsError: `folder` is a file, or holds files of these names that are not of cues.
        ValueError: Keras cannot save the model.
    """
    staging = folder / _STAGING
    _check_replaceable(folder, staging)
    model = _without_optimizer(cues.model, cues.weights)
    folder.mkdir(parents=True, exist_ok=True)
    remove(staging)
    staging.mkdir()
    try:
        write_atomically(staging / MODEL_FILE, model.save)
        clusters = {
            field.name: getattr(cues.tree.clusters, field.name)
            for field in dataclasses.fields(CellClusters)
        }
        save_arrays(staging / _CLUSTERS_FILE, {**clusters, "roots": np.array(cues.tree.roots)})
        images = {
            field.name: np.asarray(getattr(cues.images, field.name))
            for field in dataclasses.fields(ExaminedImages)
        }
        save_arrays(staging / _IMAGES_FILE, images)
        save_verdicts(staging, cues.verdicts)
        content = {
            "format": FORMAT,
            "target_layer": cues.reader.target_layer,
            "classes": cues.classes,
            "images": len(cues.images),
            "images_with_known_object": int(cues.images.has_object.sum()),
            "cues": facts,
        }
        write_text_atomically(staging / CUES_FILE, _json(content))
    except BaseException:
        remove(staging)
        raise
    (folder / CUES_FILE).unlink(missing_ok=True)
    for name in _FILES:
        os.replace(staging / name, folder / name)
    staging.rmdir()


def save_verdicts(folder: Path, verdicts: Verdicts) -> None:
    """Write the verdicts alone."""
    write_text_atomically(folder / VERDICTS_FILE, _json(verdicts.to_json()))


def load_verdicts(folder: Path, tree: CueTree | None = None) -> Verdicts:
    """Read the verdicts alone.

    Args:
        folder: The folder of cues.
        tree: The cues; None: the verdicts may be on other cues.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is damaged, or does not fit the cues.
    """
    verdicts = read_json(folder / VERDICTS_FILE)
    try:
        said = Verdicts.from_json(verdicts)
        if tree is not None:
            for name, _ in said.said:
                tree.node(name)
    except ValueError as error:
        rule = f"must hold verdicts on these cues ({error})"
        raise damaged(folder / VERDICTS_FILE, rule, verdicts) from error
    return said


def load_folder(path: str | os.PathLike[str]) -> SavedCues:
    """Read a folder of cues.

    Raises:
        FileNotFoundError: The folder, or one of its files, does not exist.
        ValueError: A file is damaged, or does not fit the others; the message names it.
    """
    folder = Path(path)
    content = read_json(folder / CUES_FILE)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        received = content.get("format") if isinstance(content, dict) else content
        raise damaged(folder / CUES_FILE, f"must have `format` {FORMAT}", received)
    model, reader = _read_model(folder, content.get("target_layer"))
    tree = read_tree(folder / _CLUSTERS_FILE, reader.depth)
    images = read_images(folder / _IMAGES_FILE, tree, reader.num_classes)
    said = load_verdicts(folder, tree)
    classes = content.get("classes")
    if classes is not None and not _is_names(classes, reader.num_classes):
        rule = f"`classes` must be null or the names of {reader.num_classes} classes"
        raise damaged(folder / CUES_FILE, rule, classes)
    return SavedCues(model, reader, tree, images, said, classes)


def _check_replaceable(folder: Path, staging: Path) -> None:
    """Check that no file of something else would be replaced."""
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"{folder} is a file. Pass a folder, which may be a new one.")
    found = [name for name in _FILES if (folder / name).exists()]
    # Where saving was interrupted, the folder of unfinished files is still there.
    if found and not (folder / CUES_FILE).is_file() and not staging.is_dir():
        raise FileExistsError(
            f"{folder} has no {CUES_FILE}, but other files that saved cues would replace: "
            f"{', '.join(found)}. Pass another folder."
        )


def _without_optimizer(
    model: keras.Model, weights: list[NDArray[Any]] | None = None
) -> keras.Model:
    """Return a copy that is not compiled, whose file needs no code of the training run."""
    state = random.getstate()
    try:
        config = keras.saving.serialize_keras_object(model)
        config.pop("compile_config", None)
        copy = keras.saving.deserialize_keras_object(config)
        copy.set_weights(model.get_weights() if weights is None else weights)
    except (AttributeError, KeyError, NotImplementedError, TypeError, ValueError) as error:
        reason = str(error).rsplit("Exception encountered: ", 1)[-1].strip().split("\n", 1)[0]
        raise ValueError(
            "Cues are saved with the model, but Keras cannot save and open this one: "
            f"{reason} Give its classes `get_config`, register them with "
            "keras.saving.register_keras_serializable, and use no Lambda layers."
        ) from error
    finally:
        # New layers seed themselves with Python's random numbers.
        random.setstate(state)
    return copy


def _read_model(folder: Path, target_layer: Any) -> tuple[keras.Model, CellReader]:
    file = folder / MODEL_FILE
    if not isinstance(target_layer, str):
        raise damaged(folder / CUES_FILE, "`target_layer` must be a name", target_layer)
    check_exists(file)
    try:
        model = load_model(file)
    # Keras raises these for damaged configurations; `load_model` names the others.
    except (AssertionError, AttributeError, IndexError, RecursionError, RuntimeError) as error:
        raise damaged(file, "must be a saved Keras model", error) from error
    try:
        return model, CellReader(model, target_layer)
    except ValueError as error:
        rule = f"must be a classifier with the target layer that {CUES_FILE} names"
        raise damaged(file, rule, f"target layer {target_layer[:100]!r}: {error}") from error


def _is_names(values: Any, count: int) -> bool:
    if not isinstance(values, list) or len(values) != count:
        return False
    # Half of a surrogate pair can be written in JSON, but in no file or page.
    return all(
        isinstance(name, str) and not any("\ud800" <= letter <= "\udfff" for letter in name)
        for name in values
    )


def _json(content: Any) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
