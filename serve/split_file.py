"""The images of a folder that a run's split.csv lists in a subset."""

from __future__ import annotations

import csv
import hashlib
import io
import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from serve.card import ModelCard
from serve.files import ImageFile
from serve.names import canonical

SPLIT_FILE = "split.csv"
SUBSETS = ("test", "val", "train")
_COLUMNS = ("path", "label", "split")
_SHOWN = 3


def read_split(file: Path, root: str, subset: str, card: ModelCard) -> list[ImageFile]:
    """Read the images of one subset, with their classes.

    Args:
        file: A split.csv, or a run folder that contains one.
        root: The folder that the paths in the table are relative to.
        subset: "test", "val" or "train".
        card: The model's card. If it has the hash of a split, `file` must match it.

    Raises:
        FileNotFoundError: The table does not exist, or some of its images are not in `root`.
        ValueError: The table is invalid, belongs to another training run, or has classes that the
            model does not have.
    """
    file = file / SPLIT_FILE if file.is_dir() else file
    if not file.is_file():
        raise FileNotFoundError(f"There is no file {str(file)!r}. Give the split.csv of a run.")
    content = file.read_bytes()
    found_hash = hashlib.sha256(content).hexdigest()
    if card.split_sha256 not in (None, found_hash):
        raise ValueError(
            f"The model was not trained with the split in {str(file)!r}: its SHA-256 is "
            f"{found_hash}, and the model's {card.split_sha256}. The model may have been trained "
            "on images held out here. Give the split.csv of the model's own run."
        )
    rows = _rows(content, file)
    chosen = [row for row in rows if row["split"] == subset]
    if not chosen:
        has = ", ".join(sorted({row["split"] for row in rows})) or "no rows"
        raise ValueError(f"{str(file)!r} has no images in {subset!r}. It has: {has}")
    class_id_of = {canonical(label): class_id for class_id, label in enumerate(card.labels)}
    labels = [canonical(row["label"]) for row in chosen]
    if unknown := sorted(set(labels) - class_id_of.keys()):
        raise ValueError(
            f"{str(file)!r} has classes that the model does not have: {', '.join(unknown)}. "
            f"The model's classes: {', '.join(card.labels)}"
        )
    paths = [row["path"] for row in chosen]
    for path in map(PurePosixPath, paths):
        if path.is_absolute() or ".." in path.parts:
            raise ValueError(f"The paths in a split.csv must stay inside its folder. Found: {path}")
    found = _present(paths, root)
    return [
        ImageFile(os.path.join(root, present), path, class_id_of[label])
        for path, present, label in zip(paths, found, labels, strict=True)
    ]


def _rows(content: bytes, file: Path) -> list[dict[str, str]]:
    # File names need not be valid Unicode.
    text = io.StringIO(content.decode("utf-8", "surrogateescape"), newline="")
    reader = csv.DictReader(text, strict=True)
    try:
        rows = list(reader)
    except csv.Error as error:
        raise ValueError(f"{str(file)!r} is not a valid CSV file: {error}") from error
    if missing := [name for name in _COLUMNS if name not in (reader.fieldnames or ())]:
        raise ValueError(
            f"{str(file)!r} is not a split.csv: it lacks the columns {', '.join(missing)}."
        )
    if any(None in row or None in row.values() for row in rows):
        raise ValueError(f"{str(file)!r} is damaged: its rows differ in the number of fields.")
    return rows


def _present(paths: Sequence[str], root: str) -> list[str]:
    """Return the paths as the files in `root` are named, maybe in another Unicode normal form.

    Raises:
        FileNotFoundError: Some are not there.
    """
    if all(os.path.isfile(os.path.join(root, path)) for path in paths):
        return list(paths)
    named = {
        canonical(path): path
        for folder, _, names in os.walk(root)
        for path in (os.path.relpath(os.path.join(folder, name), root) for name in names)
    }
    missing = [path for path in paths if canonical(path) not in named]
    if missing:
        names = ", ".join(missing[:_SHOWN]) + (", ..." if len(missing) > _SHOWN else "")
        raise FileNotFoundError(
            f"{len(missing)} of {len(paths)} images are not in {root!r}: {names}. Give the folder "
            "that the run was trained on; runs on arrays have no image files."
        )
    return [named[canonical(path)] for path in paths]
