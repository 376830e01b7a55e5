"""Writes the held-out images of a run as files, for whoever serves its model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from proxy_keras.subset import Subset

_BATCH = 64


def write_images(subset: Subset, folder: Path) -> int:
    """Writes the images of a split as FOLDER/CLASS/ID.png, pixel by pixel as the model gets them.

    Args:
        subset: The split.
        folder: A new or empty folder.

    Returns:
        The number of files.

    Raises:
        ValueError: The folder is not empty, or a class has a name that no folder can have.
    """
    if folder.exists() and any(folder.iterdir()):
        raise ValueError(f"{folder} is not empty. Give a new or empty folder for the images.")
    for name in subset.classes:
        if name in ("", ".", "..") or any(c in '/\\:*?"<>|\0' for c in name):
            raise ValueError(f"Class {name!r} cannot be the name of a folder.")
        (folder / name).mkdir(parents=True)
    for positions, images, labels in subset.originals(_BATCH).as_numpy_iterator():
        for position, image, label in zip(positions, images, labels, strict=True):
            path = folder / subset.classes[label] / f"{subset.example_ids[position]}.png"
            Image.fromarray(image.astype(np.uint8)).save(path)
    return len(subset)
