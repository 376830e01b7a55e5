"""Discovery of image files from paths, folders and globs."""

from __future__ import annotations

import glob
import os
import stat
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from serve.left_out import is_left_out

IMAGE_SUFFIXES = frozenset(
    ".jpg .jpeg .jpe .jfif .png .apng .gif .bmp .webp .tif .tiff .ppm .pgm .pbm .pnm .pfm "
    ".jp2 .j2k .j2c .jpc .jpf .jpx .avif .avifs".split()
)
"""Suffixes, in lower case, of the files in a folder that are treated as images."""


@dataclass(frozen=True, slots=True)
class ImageFile:
    """A file that should be an image.

    Attributes:
        path: Path of the file.
        name: Path relative to the folder it was found in, with "/"; else the bare file name.
        label_id: Class id of its true class, if known.
    """

    path: str
    name: str
    label_id: int | None = None


@dataclass(frozen=True, slots=True)
class BadFile:
    """A file or folder that cannot be used, and why."""

    path: str
    reason: str


@dataclass
class FoundFiles:
    """The files found.

    Attributes:
        files: The files to read, without duplicates, in the order of the arguments, then by path.
        bad: Files and folders that cannot be opened, with the reason.
        others: Number of files skipped in folders because of their suffix, by suffix.
    """

    files: list[ImageFile] = field(default_factory=list)
    bad: list[BadFile] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)


def find_files(arguments: Sequence[str]) -> FoundFiles:
    """Find the image files given by arguments.

    Files given directly or by a glob are read with any suffix. Folders are searched
    recursively for files with an image suffix. Hidden files and folders (`.name`), and those that
    systems leave behind (`@eaDir`), are ignored unless they are named.

    Args:
        arguments: Paths of files and folders, or globs ("photos/**/*.jpg").

    Raises:
        FileNotFoundError: A path does not exist, or a glob matches nothing.
    """
    found = FoundFiles()
    for argument in arguments:
        for path in _expanded(argument):
            if os.path.isdir(path):
                _walk(path, "", found, frozenset())
            else:
                _take(path, os.path.basename(path), found)
    once: dict[str, ImageFile] = {}
    for file in found.files:
        once.setdefault(os.path.abspath(file.path), file)
    found.files = list(once.values())
    return found


def _expanded(argument: str) -> list[str]:
    if os.path.lexists(argument):
        return [argument]
    if not glob.has_magic(argument):
        raise FileNotFoundError(
            f"{argument!r} does not exist. Give image files, folders of them, or globs."
        )
    given = set(argument.split(os.sep))
    matches = [
        path
        for path in sorted(glob.glob(argument, recursive=True))
        if not any(is_left_out(part) for part in path.split(os.sep) if part not in given)
    ]
    if not matches:
        raise FileNotFoundError(f"The glob {argument!r} matches nothing.")
    return matches


def _walk(folder: str, prefix: str, found: FoundFiles, above: frozenset[tuple[int, int]]) -> None:
    try:
        status = os.stat(folder)
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if not is_left_out(entry.name))
    except OSError as error:
        found.bad.append(BadFile(folder, f"cannot be opened: {error.strerror}"))
        return
    identity = status.st_dev, status.st_ino
    if identity in above:
        found.bad.append(BadFile(folder, "a link to one of its parent folders"))
        return
    for name in names:
        path = os.path.join(folder, name)
        if os.path.isdir(path):
            _walk(path, f"{prefix}{name}/", found, above | {identity})
        elif (suffix := os.path.splitext(name)[1].lower()) in IMAGE_SUFFIXES:
            _take(path, f"{prefix}{name}", found)
        else:
            found.others[suffix] += 1


def _take(path: str, name: str, found: FoundFiles) -> None:
    try:
        is_regular = stat.S_ISREG(os.stat(path).st_mode)
    except OSError as error:
        reason = "broken link" if os.path.islink(path) else f"cannot be opened: {error.strerror}"
        found.bad.append(BadFile(path, reason))
        return
    if is_regular:
        found.files.append(ImageFile(path, name))
    else:
        # Opening a pipe would block forever.
        found.bad.append(BadFile(path, "not a regular file"))
