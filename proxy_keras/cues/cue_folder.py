"""The folder of saved cues: the classifier, the clusters, the examined images, the verdicts."""

from __future__ import annotations

import dataclasses
import json
import os
import reprlib
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from proxy_keras.cues.cell_reader import CellReader
from proxy_keras.cues.clustering import CellClusters
from proxy_keras.cues.cue_tree import CueTree
from proxy_keras.cues.examined import ExaminedImages
from proxy_keras.cues.verdicts import Verdicts
from proxy_keras.io.atomic_files import write_atomically, write_text_atomically
from proxy_keras.io.saved_model import load_model

FORMAT = 1
CUES_FILE = "cues.json"
VERDICTS_FILE = "verdicts.json"
MODEL_FILE = "network.keras"
_CLUSTERS_FILE = "clusters.npz"
_IMAGES_FILE = "images.npz"


@dataclasses.dataclass(frozen=True)
class SavedCues:
    """The content of a folder of cues."""

    model: keras.Model
    reader: CellReader
    tree: CueTree
    images: ExaminedImages
    verdicts: Verdicts
    classes: list[str] | None


def save_folder(folder: Path, cues: SavedCues, facts: list[dict[str, Any]]) -> None:
    """Write cues to a folder, replacing the files of earlier ones. `cues.json` is written last.

    Raises:
        ValueError: Keras cannot save the model.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CUES_FILE).unlink(missing_ok=True)
    write_atomically(folder / MODEL_FILE, _without_optimizer(cues.model).save)
    clusters = {
        field.name: getattr(cues.tree.clusters, field.name)
        for field in dataclasses.fields(CellClusters)
    }
    _save_arrays(folder / _CLUSTERS_FILE, {**clusters, "roots": np.array(cues.tree.roots)})
    images = {
        field.name: np.asarray(getattr(cues.images, field.name))
        for field in dataclasses.fields(ExaminedImages)
    }
    _save_arrays(folder / _IMAGES_FILE, images)
    save_verdicts(folder, cues.verdicts)
    content = {
        "format": FORMAT,
        "target_layer": cues.reader.target_layer,
        "classes": cues.classes,
        "images": len(cues.images),
        "images_with_known_object": int(cues.images.has_object.sum()),
        "cues": facts,
    }
    write_text_atomically(folder / CUES_FILE, _json(content))


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
    verdicts = _read_json(folder / VERDICTS_FILE)
    try:
        said = Verdicts.from_json(verdicts)
        if tree is not None:
            for name, _ in said.said:
                tree.node(name)
    except ValueError as error:
        raise _damaged(folder / VERDICTS_FILE, str(error), verdicts) from error
    return said


def load_folder(path: str | os.PathLike[str]) -> SavedCues:
    """Read a folder of cues.

    Raises:
        FileNotFoundError: The folder, or one of its files, does not exist.
        ValueError: A file is damaged, or does not fit the others.
    """
    folder = Path(path)
    content = _read_json(folder / CUES_FILE)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise _damaged(folder / CUES_FILE, f"must have `format` {FORMAT}", content)
    model = load_model(folder / MODEL_FILE)
    layer = _of_type(folder, content, "target_layer", str)
    try:
        reader = CellReader(model, layer)
    except ValueError as error:
        rule = "`target_layer` must be a layer of network.keras"
        raise _damaged(folder / CUES_FILE, rule, error) from error
    clusters = _read_arrays(folder / _CLUSTERS_FILE)
    tree = _tree(folder / _CLUSTERS_FILE, clusters, reader.depth)
    images = _images(folder / _IMAGES_FILE, _read_arrays(folder / _IMAGES_FILE), tree)
    said = load_verdicts(folder, tree)
    classes = content.get("classes")
    is_names = isinstance(classes, list) and all(isinstance(name, str) for name in classes)
    if classes is not None and not (is_names and len(classes) == reader.num_classes):
        rule = f"`classes` must be null or the names of {reader.num_classes} classes"
        raise _damaged(folder / CUES_FILE, rule, classes)
    return SavedCues(model, reader, tree, images, said, classes)


def _without_optimizer(model: keras.Model) -> keras.Model:
    """Return a copy that is not compiled, whose file needs no code of the training run."""
    try:
        config = keras.saving.serialize_keras_object(model)
        config.pop("compile_config", None)
        copy = keras.saving.deserialize_keras_object(config)
        copy.set_weights(model.get_weights())
    except (TypeError, ValueError, NotImplementedError) as error:
        reason = str(error).strip().split("\n", 1)[0]
        raise ValueError(
            "Cues are saved with the model, but Keras cannot save this one: "
            f"{reason} Give its classes `get_config` and register them."
        ) from error
    return copy


def _tree(file: Path, arrays: Mapping[str, NDArray[Any]], depth: int) -> CueTree:
    names = [field.name for field in dataclasses.fields(CellClusters)]
    _check_names(file, arrays, [*names, "roots"])
    counts = arrays["counts"]
    total = len(counts) if counts.ndim == 1 else 0
    expected = {
        "centroids": ((total, depth), np.floating),
        "means": ((total, depth), np.floating),
        "counts": ((total,), np.integer),
        "joins": ((total - 1, 2), np.integer),
    }
    _check_shapes(file, arrays, expected)
    joins, roots = arrays["joins"], arrays["roots"]
    # Each node is made before it is joined, and joined once: otherwise the tree has a circle.
    is_tree = (
        total >= 2
        and (joins >= 0).all()
        and (joins < total + np.arange(total - 1)[:, np.newaxis]).all()
        and len(np.unique(joins)) == joins.size
    )
    if not is_tree or roots.ndim != 1 or not np.issubdtype(roots.dtype, np.integer):
        raise _damaged(file, "must hold a tree of clusters", f"{total} clusters")
    tree = CueTree(CellClusters(**{name: arrays[name] for name in names}), tuple(roots.tolist()))
    in_range = all(0 <= node <= 2 * total - 2 for node in tree.roots)
    covered = [tree.members(name).tolist() for name in tree.shown] if in_range else []
    if sorted(sum(covered, [])) != list(range(total)):
        raise _damaged(file, "must show every cluster in one cue", f"roots {tree.roots}")
    return tree


def _images(file: Path, arrays: Mapping[str, NDArray[Any]], tree: CueTree) -> ExaminedImages:
    names = [field.name for field in dataclasses.fields(ExaminedImages)]
    _check_names(file, arrays, names)
    maps = arrays["clusters"]
    count, cells = len(arrays["example_ids"]), maps.shape[1:]
    expected: dict[str, tuple[tuple[int, ...], Any]] = {
        "example_ids": ((count,), np.str_),
        "labels": ((count,), np.integer),
        "predictions": ((count,), np.integer),
        "is_held_out": ((count,), np.bool_),
        "has_object": ((count,), np.bool_),
        "clusters": ((count, *cells), np.integer),
        "evidence": ((count, *cells), np.uint8),
        "similarity": ((count, *cells), np.uint8),
        "inside": ((count, *cells), np.uint8),
        "num_clusters": ((), np.integer),
    }
    _check_shapes(file, arrays, expected)
    total = len(tree.clusters.counts)
    if len(cells) != 2 or arrays["num_clusters"] != total or (maps >= total).any():
        rule = f"must hold the cells [N, h, w] of images, of {total} clusters"
        raise _damaged(file, rule, f"shape {maps.shape}, {arrays['num_clusters']} clusters")
    values: dict[str, Any] = {name: arrays[name] for name in names}
    values["example_ids"] = arrays["example_ids"].tolist()
    values["num_clusters"] = total
    return ExaminedImages(**values)


def _save_arrays(file: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    def write(path: Path) -> None:
        with path.open("wb") as opened:
            np.savez_compressed(opened, allow_pickle=False, **arrays)

    write_atomically(file, write)


def _read_arrays(file: Path) -> dict[str, NDArray[Any]]:
    _check_exists(file)
    try:
        # Opened here, because NumPy leaves a damaged archive open.
        with file.open("rb") as opened, np.load(opened, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    # A damaged archive raises any of these, depending on the damage.
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, OSError, AttributeError) as error:
        raise _damaged(file, "must be an archive of arrays", error) from error


def _read_json(file: Path) -> Any:
    _check_exists(file)
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise _damaged(file, "must contain JSON", error) from error


def _of_type(folder: Path, content: Mapping[str, Any], name: str, kind: type) -> Any:
    value = content.get(name)
    if not isinstance(value, kind):
        raise _damaged(folder / CUES_FILE, f"`{name}` must be a {kind.__name__}", value)
    return value


def _check_exists(file: Path) -> None:
    if not file.is_file():
        raise FileNotFoundError(
            f"{file} does not exist, so {file.parent} is not a folder of cues. Find them first: "
            "python -m proxy_keras.cues MODEL"
        )


def _check_names(file: Path, arrays: Mapping[str, NDArray[Any]], names: list[str]) -> None:
    missing = [name for name in names if name not in arrays]
    if missing:
        raise _damaged(file, f"lacks {', '.join(missing)}", f"{', '.join(arrays) or 'nothing'}")


def _check_shapes(
    file: Path,
    arrays: Mapping[str, NDArray[Any]],
    expected: Mapping[str, tuple[tuple[int, ...], Any]],
) -> None:
    for name, (shape, kind) in expected.items():
        array = arrays[name]
        is_finite = not np.issubdtype(array.dtype, np.floating) or bool(np.isfinite(array).all())
        if array.shape != shape or not np.issubdtype(array.dtype, kind) or not is_finite:
            rule = f"`{name}` must have shape {shape} and finite values of its kind"
            raise _damaged(file, rule, f"shape {array.shape}, dtype {array.dtype}")


def _damaged(file: Path, rule: str, received: object) -> ValueError:
    shown = received if isinstance(received, str | Exception) else reprlib.repr(received)
    return ValueError(f"{file}: {rule}. Received: {shown}. Find the cues again.")


def _json(content: Any) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
