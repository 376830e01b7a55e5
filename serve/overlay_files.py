"""Overlays as PNG files, at the size of their images."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from serve.atomic_file import atomic_file
from serve.files import ImageFile
from serve.finite import PROBLEM
from serve.images import UnreadableImageError, read_image
from serve.overlay import overlay
from serve.stream import Result


class OverlayFolder:
    """An output folder for overlays; it mirrors the folders of the images.

    Args:
        folder: Created if necessary. Files of the same name in it are replaced.
        files: All images to overlay.

    Raises:
        ValueError: `folder` contains some of the images.
        NotADirectoryError: `folder` is a file.
    """

    def __init__(self, folder: Path, files: Sequence[ImageFile]) -> None:
        if folder.exists() and not folder.is_dir():
            raise NotADirectoryError(f"{str(folder)!r} is a file. Give a folder as --overlay.")
        output = folder.resolve()
        # The targets of links must not be replaced either.
        paths = {path for file in files for path in (file.path, os.path.realpath(file.path))}
        for parent in {os.path.dirname(path) for path in paths}:
            # Images there could have the name of an overlay.
            if Path(parent).resolve().is_relative_to(output):
                raise ValueError(
                    f"{str(folder)!r} contains images to read (in {parent or '.'!r}), which "
                    "overlays could replace. Give another folder as --overlay."
                )
        self._folder = folder
        self._names = dict(zip(files, _unique([file.name for file in files]), strict=True))

    def write(self, result: Result) -> Result:
        """Write an overlay, and return the result with its path. Thread-safe.

        If the image can no longer be read, or its heatmap is not finite, the returned result has an
        `error` instead.

        Raises:
            OSError: The overlay cannot be written.
        """
        if result.heatmap is None:
            return result
        if not np.isfinite(result.heatmap).all():
            return replace(result, error=f"no overlay: the model's heatmap {PROBLEM}")
        try:
            image = read_image(result.file.path)
        except UnreadableImageError as error:
            return replace(result, error=f"no overlay: {error.reason}")
        except OSError as error:
            return replace(result, error=f"no overlay: cannot be opened: {error.strerror}")
        picture = Image.fromarray(overlay(image, result.heatmap))
        path = self._folder / self._names[result.file]
        with atomic_file(path) as file:
            # At Pillow's default level, compression would take most of the time.
            picture.save(file, "PNG", compress_level=1)
        return replace(result, overlay=str(path))


def _unique(names: Sequence[str]) -> list[str]:
    """Replace the suffix of each name by .png, with a number added to duplicates.

    Case is ignored, as on many file systems.
    """
    taken: set[str] = set()
    counts: dict[str, int] = {}
    unique = []
    for name in names:
        stem = str(PurePosixPath(name).with_suffix(""))
        key = stem.casefold()
        candidate = stem
        while f"{candidate.casefold()}.png" in taken:
            counts[key] = counts.get(key, 1) + 1
            candidate = f"{stem}_{counts[key]}"
        taken.add(f"{candidate.casefold()}.png")
        unique.append(f"{candidate}.png")
    return unique
