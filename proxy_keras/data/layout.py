"""Image files of a folder with their classes and splits, found without opening them."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

from proxy_keras.data.file_status import packed
from proxy_keras.data.folder_names import folders_in, is_folder, splits_of_folders
from proxy_keras.data.left_out import is_left_out
from proxy_keras.data.records import Skipped
from proxy_keras.data.split_folders import (
    MASKS,
    check_no_splits_below,
    find_split_folders,
    is_image_name,
)
from proxy_keras.io.names import canonical

LabelFn = Callable[[str], str]
"""Returns the class of a file, given its path relative to the root, with "/"."""


class Candidate(NamedTuple):
    """A file that may be an image.

    Attributes:
        path: Relative to the root, with "/".
        label: Name of its class.
        split: "train", "val", "test" or None.
        size_bytes: Size of the file in bytes.
        status: Its packed status, see `file_status`.
    """

    path: str
    label: str
    split: str | None
    size_bytes: int
    status: bytes


@dataclass
class Layout:
    """The contents of a folder.

    Attributes:
        candidates: The files to read, by path.
        skipped: Files and folders that cannot be read, with the reason.
        ignored: Files and folders outside the class folders, which are not read.
    """

    candidates: list[Candidate] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)


def find_images(root: str | os.PathLike[str], *, label_fn: LabelFn | None = None) -> Layout:
    """Find the files below `ROOT/CLASS/` or `ROOT/{train,val,test}/CLASS/`.

    A root counts as already split if it has a folder named like a training split that contains
    folders, and next to it one named like a validation or test split, or none with images; see
    `folder_names.splits_of_folders`. Its other folders (such as `masks`) are then ignored and
    listed, and the images of a split without class folders are skipped and listed. Next to class
    folders, a folder `masks` is ignored and listed if it holds only folders named after these
    classes. Files and folders that are hidden (`.name`), or left by network drives, editors and
    operating systems (`@eaDir`, `Thumbs.db`), are left out and not listed. With `label_fn`, files
    need no class folder. Class names are printable and in one Unicode normal form, see
    `names.canonical`; paths are those of the files.

    Args:
        root: The folder.
        label_fn: Returns the class of each file; None: the class is the name of the folder.

    Returns:
        A layout with every regular file below a class folder as a candidate, sorted by path.

    Raises:
        FileNotFoundError: There is no such folder.
        NotADirectoryError: `root` is a file.
        ValueError: The folder has no classes, only one class, images without a class folder,
            two folders for one split, or folders that could be splits or classes.
        TypeError: `label_fn` did not return a name.
    """
    root = Path(root)
    if not root.exists():
        raise FileNotFoundError(f"Folder {str(root)!r} does not exist. Pass a folder of images.")
    if not root.is_dir():
        raise NotADirectoryError(
            f"{str(root)!r} is a file. Pass a folder with one folder per class."
        )
    layout = Layout()
    folders = folders_in(root)
    splits = find_split_folders(root, folders, needs_class_folders=label_fn is None)
    if splits:
        _list_other_folders(root, folders, splits, layout)
        _list_loose_files(root, "", layout)
    tops: dict[str, str | None] = {**splits} if splits else {"": None}
    for folder, split in tops.items():
        if label_fn is not None:
            above = frozenset({_identity(root)} if folder else ())
            _walk(root, folder, layout, partial(_by_function, label_fn, split), above)
            continue
        above = frozenset({_identity(root), _identity(root / folder)})
        labels = folders_in(root / folder)
        if not splits:
            check_no_splits_below(root, labels)
        if not splits and _holds_masks(root / MASKS, set(labels)):
            labels.remove(MASKS)
            layout.ignored.append(f"{MASKS}/")
        for name in labels:
            label = canonical(name)
            top, assign = _join(folder, name), partial(_by_folder, label, split)
            found = len(layout.candidates) + len(layout.skipped)
            _walk(root, top, layout, assign, above, label)
            if len(layout.candidates) + len(layout.skipped) == found:
                layout.skipped.append(Skipped(f"{top}/", "no files", label))
        _list_loose_files(root, folder, layout)
    layout.candidates.sort(key=attrgetter("path"))
    layout.skipped.sort(key=attrgetter("path"))
    layout.ignored.sort()
    _check(root, layout)
    return layout


_ClassAndSplit = tuple[str, str | None]


def _by_folder(label: str, split: str | None, path: str) -> _ClassAndSplit:
    return label, split


def _by_function(label_fn: LabelFn, split: str | None, path: str) -> _ClassAndSplit:
    label = label_fn(path)
    if not isinstance(label, str) or not label:
        raise TypeError(f"`label_fn` must return a class name. Received {label!r} for {path!r}.")
    return canonical(label), split


def _holds_masks(folder: Path, classes: set[str]) -> bool:
    """Return whether a folder exists and holds only folders named after classes."""
    if MASKS not in classes:
        return False
    entries = [entry for entry in os.scandir(folder) if not is_left_out(entry.name)]
    names = {entry.name for entry in entries if is_folder(entry)}
    return bool(names) and len(names) == len(entries) and names <= classes - {MASKS}


def _walk(
    root: Path,
    folder: str,
    layout: Layout,
    assign: Callable[[str], _ClassAndSplit],
    above: frozenset[tuple[int, int]],
    label: str | None = None,
) -> None:
    """Add every file below a folder; `assign` returns the class and the split of a path.

    What cannot be read is listed with `label`, the class of the folder if it is known.
    """
    try:
        identity = _identity(root / folder)
        entries = sorted(os.scandir(root / folder), key=attrgetter("name"))
    except OSError as error:
        layout.skipped.append(Skipped(f"{folder}/", f"cannot be opened: {error.strerror}", label))
        return
    if identity in above:
        layout.skipped.append(Skipped(f"{folder}/", "a link back to a folder above it", label))
        return
    for entry in entries:
        if is_left_out(entry.name):
            continue
        path = _join(folder, entry.name)
        if is_folder(entry):
            _walk(root, path, layout, assign, above | {identity}, label)
            continue
        try:
            status = entry.stat()
        except OSError as error:
            reason = "broken link" if entry.is_symlink() else f"cannot be opened: {error.strerror}"
            layout.skipped.append(Skipped(path, reason, label))
            continue
        if not stat.S_ISREG(status.st_mode):
            # Opening a pipe would block forever.
            layout.skipped.append(Skipped(path, "not a regular file", label))
            continue
        label_of, split = assign(path)
        found = Candidate(path, label_of, split, status.st_size, packed(status))
        layout.candidates.append(found)


def _list_other_folders(
    root: Path, folders: list[str], splits: dict[str, str], layout: Layout
) -> None:
    """List the folders beside the splits: images of a split without classes as skipped."""
    unlabelled = splits_of_folders(folders).keys() - splits.keys()
    for name in folders:
        if name in unlabelled:
            _list_loose_files(root, name, layout)
        elif name not in splits:
            layout.ignored.append(f"{name}/")


def _list_loose_files(root: Path, folder: str, layout: Layout) -> None:
    """List the files next to the class folders: images as skipped, others as ignored."""
    for entry in os.scandir(root / folder):
        if is_left_out(entry.name) or is_folder(entry):
            continue
        path = _join(folder, entry.name)
        if is_image_name(entry.name):
            layout.skipped.append(Skipped(path, "outside the class folders"))
        else:
            layout.ignored.append(path)


def _check(root: Path, layout: Layout) -> None:
    classes = sorted({candidate.label for candidate in layout.candidates})
    expected = f"Expected {root}/CLASS/* or {root}/train/CLASS/* and {root}/test/CLASS/*"
    if not classes:
        loose = [skipped for skipped in layout.skipped if "outside" in skipped.reason]
        if loose:
            raise ValueError(
                f"{len(loose)} images are directly in {str(root)!r}, without a class folder. "
                f"{expected}; or pass `label_fn`, which returns the class of a path."
            )
        raise ValueError(f"{str(root)!r} has no class folder with files. {expected}.")
    if len(classes) == 1:
        empty = sorted({item.label for item in layout.skipped if item.label} - set(classes))
        also = f" Without usable files: {', '.join(empty)}." if empty else ""
        raise ValueError(
            f"{str(root)!r} has only one class, {classes[0]!r}; at least two are needed.{also} "
            f"{expected}."
        )


def _identity(folder: Path) -> tuple[int, int]:
    """Return device and inode, which are the same along every path to the folder."""
    status = folder.stat()
    return status.st_dev, status.st_ino


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name
