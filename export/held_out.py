"""Writes the held-out images of a run as files, for whoever serves its model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from proxy_keras.data.data_split import Subset

_BATCH = 64


def write_images(subset: Subset, folder: Path) -> int:
    """Writes the images of a split as FOLDER/CLASS/ID.png, pixel by pixel as the model gets them.

    Args:
        subset: The split.
        folder: A folder that is new, empty, or holds these images already.

    Returns:
        The number of files.

    Raises:
        NotADirectoryError, ValueError: See `image_paths`.
    """
    paths = image_paths(subset, folder)
    for name in subset.classes:
        (folder / name).mkdir(parents=True, exist_ok=True)
    for positions, images, _ in subset.originals(_BATCH).as_numpy_iterator():
        for position, image in zip(positions, images, strict=True):
            Image.fromarray(image.astype(np.uint8)).save(paths[position])
    return len(subset)


def image_paths(subset: Subset, folder: Path) -> list[Path]:
    """Where `write_images` writes each image of a split; nothing is written yet.

    Raises:
        NotADirectoryError: The folder is a file.
        ValueError: The folder holds something else, or a class has a name that no folder can have.
    """
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file. Give a new or empty folder for the images.")
    for name in subset.classes:
        if name in ("", ".", "..") or any(c in '/\\:*?"<>|\0' for c in name):
            raise ValueError(f"Class {name!r} cannot be the name of a folder.")
    paths = [
        folder / subset.classes[label] / f"{example_id}.png"
        for label, example_id in zip(subset.labels, subset.example_ids, strict=True)
    ]
    others = {path for path in folder.rglob("*") if not path.is_dir()} - set(paths)
    if others:
        raise ValueError(
            f"{folder} holds {len(others)} other files, such as {min(others).name}. Give a new or "
            "empty folder for the images."
        )
    return paths
