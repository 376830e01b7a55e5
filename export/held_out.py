"""The held-out images of a run as image files, for serving."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from proxy_keras.data.data_split import DataSplit

_BATCH = 64


def write_images(split: DataSplit, folder: Path) -> int:
    """Write the images of a split as FOLDER/CLASS/ID.png, with exactly the model's input pixels.

    Args:
        split: The split.
        folder: A folder that is new, empty, or contains only these images.

    Returns:
        The number of files.

    Raises:
        NotADirectoryError, ValueError: See `image_paths`.
    """
    paths = image_paths(split, folder)
    for name in split.classes:
        (folder / name).mkdir(parents=True, exist_ok=True)
    for positions, images, _ in split.originals(_BATCH).as_numpy_iterator():
        for position, image in zip(positions, images, strict=True):
            Image.fromarray(image.astype(np.uint8)).save(paths[position])
    return len(split)


def image_paths(split: DataSplit, folder: Path) -> list[Path]:
    """Return the path of each image of a split for `write_images`; nothing is written.

    Raises:
        NotADirectoryError: The folder is a file.
        ValueError: The folder contains other files, or a class name is no valid folder name.
    """
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file. Choose a new or empty folder for images.")
    for name in split.classes:
        if name in ("", ".", "..") or any(c in '/\\:*?"<>|\0' for c in name):
            raise ValueError(f"Class name {name!r} is not a valid folder name.")
    paths = [
        folder / split.classes[label] / f"{example_id}.png"
        for label, example_id in zip(split.labels, split.example_ids, strict=True)
    ]
    others = {path for path in folder.rglob("*") if not path.is_dir()} - set(paths)
    if others:
        raise ValueError(
            f"{folder} contains {len(others)} other files, such as {min(others).name}. Choose a "
            "new or empty folder for the images."
        )
    return paths
