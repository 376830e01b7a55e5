"""The image files to explain: found in folders, read, and prepared for the model."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from proxy_keras.data.images import UnreadableImageError, read_image, read_resized
from proxy_keras.data.left_out import is_left_out
from proxy_keras.io.names import printable
from proxy_keras.io.progress import progress_bar


@dataclass(frozen=True)
class InputImages:
    """The images to explain.

    Attributes:
        names: A unique name for each, used in file names.
        paths: The file of each.
        originals: [H, W, 3] uint8 each.
        inputs: [n, P, Q, 3] float32, the inputs of the model.
    """

    names: list[str]
    paths: list[Path]
    originals: list[NDArray[np.uint8]]
    inputs: NDArray[np.float32]


def list_files(paths: Iterable[Path]) -> list[Path]:
    """Return the given files, and the files in given folders, in order.

    Raises:
        FileNotFoundError: A path does not exist.
    """
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            files += _files_in(path)
        elif path.is_file():
            files.append(path)
        else:
            raise FileNotFoundError(f"{path} does not exist. Pass image files, or folders of them.")
    return list(dict.fromkeys(files))


def _files_in(folder: Path) -> list[Path]:
    """Return the files below a folder, sorted, without those of `is_left_out`."""
    inside = [
        file
        for file in folder.rglob("*")
        if not any(is_left_out(name) for name in file.relative_to(folder).parts)
    ]
    return sorted(file for file in inside if file.is_file())


def read_images(
    files: Sequence[Path],
    shape: tuple[int, int],
    value_range: tuple[float, float],
    *,
    strict: bool,
    progress: bool,
) -> InputImages:
    """Read the usable images, and print which files were skipped.

    Args:
        files: The files.
        shape: Height and width of the model's input.
        value_range: Value range of the model's input.
        strict: Raise an error if a file is not a usable image.
        progress: Show a progress bar.

    Raises:
        ValueError: The value range is not increasing, no file is a usable image, or, if `strict`,
            one is not.
        OSError: A file cannot be opened.
    """
    low, high = value_range
    if not low < high:
        raise ValueError(f"`--value-range` must be increasing. Received: {low} {high}")
    originals, inputs, paths, skipped = [], [], [], []
    for file in progress_bar(files, desc="reading", shown=progress):
        try:
            originals.append(read_image(file))
            # Decoded at a reduced size, as in training.
            inputs.append(read_resized(file, shape))
            paths.append(file)
        except UnreadableImageError as error:
            skipped.append(f"{file}: {error.reason}")
    if skipped and strict:
        raise ValueError(f"{len(skipped)} files are not usable images: {'; '.join(skipped)}")
    for line in skipped:
        print(f"skipped {line}", file=sys.stderr)
    if not originals:
        raise ValueError(f"None of the {len(files)} files is a usable image.")
    scaled = np.stack(inputs).astype(np.float32) * np.float32((high - low) / 255.0) + low
    return InputImages(_unique_names(paths), paths, originals, scaled)


def _unique_names(paths: list[Path]) -> list[str]:
    """Return a unique name for each file: its stem, numbered if another file has the same."""
    names: list[str] = []
    for path in paths:
        stem, count = printable(path.stem), 1
        name = stem
        while name in names:
            count += 1
            name = f"{stem}_{count}"
        names.append(name)
    return names
