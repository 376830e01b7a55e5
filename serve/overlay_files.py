"""Writes each image as a PNG with its heatmap over it, at the image's own size."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from PIL import Image

from serve.atomic_file import atomic_file
from serve.files import ImageFile
from serve.images import UnreadableImageError, read_image
from serve.overlay import overlay
from serve.stream import Result


class OverlayFolder:
    """Where overlays go: below it, the folders that the images were found in are made again.

    Args:
        folder: Made if it is not there. Files in it of the same name are replaced.
        files: All images that overlays will be written of.

    Raises:
        ValueError: `folder` holds some of the images.
        NotADirectoryError: It is a file.
    """

    def __init__(self, folder: Path, files: Sequence[ImageFile]) -> None:
        if folder.exists() and not folder.is_dir():
            raise NotADirectoryError(f"{str(folder)!r} is a file. Give a folder as --overlay.")
        place = folder.resolve()
        # An image may be a link to one elsewhere, which must not be replaced either.
        paths = {path for file in files for path in (file.path, os.path.realpath(file.path))}
        for parent in {os.path.dirname(path) for path in paths}:
            # An overlay may bear the name of an image that lies there.
            if Path(parent).resolve().is_relative_to(place):
                raise ValueError(
                    f"{str(folder)!r} holds images that are to be read (in {parent or '.'!r}), and "
                    "overlays could replace them. Give another folder as --overlay."
                )
        self._folder = folder
        self._names = dict(zip(files, _unique([file.name for file in files]), strict=True))

    def write(self, result: Result) -> Result:
        """The result with the path of the overlay that was written of it.

        If the image can no longer be read, `error` says why instead. May be called in threads.

        Raises:
            OSError: The overlay cannot be written.
        """
        if result.heatmap is None:
            return result
        try:
            image = read_image(result.file.path)
        except UnreadableImageError as error:
            return replace(result, error=f"no overlay: {error.reason}")
        except OSError as error:
            return replace(result, error=f"no overlay: cannot be opened: {error.strerror}")
        picture = Image.fromarray(overlay(image, result.heatmap))
        path = self._folder / self._names[result.file]
        with atomic_file(path) as file:
            # Of an overlay's time, compression at Pillow's default level would be the most.
            picture.save(file, "PNG", compress_level=1)
        return replace(result, overlay=str(path))


def _unique(names: Sequence[str]) -> list[str]:
    """Each name with the suffix .png, and a number where it would be taken already.

    Upper and lower case count as one, as on many file systems.
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
