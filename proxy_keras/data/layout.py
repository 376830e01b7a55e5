"""Finds the files that belong to classes and splits in a folder; opens none of them."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from PIL import Image

from proxy_keras.data.records import TEST, TRAIN, VAL, Skipped

LabelFn = Callable[[str], str]
"""The class of a file, given its path relative to the root, with "/"."""

_MASKS = "masks"

_SPLIT_OF_FOLDER = {
    "train": TRAIN,
    "training": TRAIN,
    "val": VAL,
    "valid": VAL,
    "validation": VAL,
    "test": TEST,
}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file that should be an image of a class.

    Attributes:
        path: Relative to the root, with "/".
        label: Name of its class.
        split: "train", "val", "test" or None.
        size_bytes: Size of the file.
    """

    path: str
    label: str
    split: str | None
    size_bytes: int


@dataclass
class Layout:
    """What a folder holds.

    Attributes:
        candidates: The files to read, by path.
        skipped: Files and folders that should hold images but cannot be read, with the reason.
        ignored: Files and folders beside the classes, which are not looked into.
    """

    candidates: list[Candidate] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)


def find_images(root: str | os.PathLike[str], *, label_fn: LabelFn | None = None) -> Layout:
    """The files below `ROOT/CLASS/` or `ROOT/{train,val,test}/CLASS/`, with class and split.

    A root is read as already split if it has a folder `train` of folders, and beside it either a
    `val` or `test` folder or no other folder at all; folders of other names (`masks`) are then
    ignored, and listed. So is, beside class folders, a folder `masks` that holds folders of these
    classes and nothing else. Hidden files and folders (`.name`) are left out without a word. With
    `label_fn`, files need no class folder.

    Args:
        root: The folder.
        label_fn: Gives the class of each file; None: the class is the folder's name.

    Returns:
        Every regular file below a class folder as a candidate, sorted by path.

    Raises:
        FileNotFoundError: There is no such folder.
        NotADirectoryError: `root` is a file.
        ValueError: The folder holds no class, images without a class folder, one class only, or
            two folders for one split.
        TypeError: `label_fn` gave something else than a name.
    """
    root = Path(root)
    if not root.exists():
        raise FileNotFoundError(f"There is no folder {str(root)!r}. Pass the folder of the images.")
    if not root.is_dir():
        raise NotADirectoryError(
            f"{str(root)!r} is a file. Pass the folder that holds a folder per class."
        )
    layout = Layout()
    folders = _folders(root)
    splits = _split_folders(root, folders, needs_class_folders=label_fn is None)
    if splits:
        layout.ignored += [f"{name}/" for name in folders if name not in splits]
        _note_loose_files(root, "", layout)
    tops: dict[str, str | None] = {**splits} if splits else {"": None}
    for folder, split in tops.items():
        if label_fn is not None:
            above = frozenset({_identity(root)} if folder else ())
            _walk(root, folder, layout, partial(_by_function, label_fn, split), above)
            continue
        above = frozenset({_identity(root), _identity(root / folder)})
        labels = _folders(root / folder)
        if not splits and _holds_masks(root / _MASKS, set(labels)):
            labels.remove(_MASKS)
            layout.ignored.append(f"{_MASKS}/")
        for label in labels:
            _walk(root, _join(folder, label), layout, partial(_by_folder, label, split), above)
        _note_loose_files(root, folder, layout)
    layout.candidates.sort(key=lambda candidate: candidate.path)
    layout.skipped.sort(key=lambda skipped: skipped.path)
    layout.ignored.sort()
    _check(root, layout)
    return layout


_Place = tuple[str, str | None]
"""Class and split."""


def _by_folder(label: str, split: str | None, path: str) -> _Place:
    return label, split


def _by_function(label_fn: LabelFn, split: str | None, path: str) -> _Place:
    label = label_fn(path)
    if not isinstance(label, str) or not label:
        raise TypeError(f"`label_fn` must give a class name. For {path!r} it gave {label!r}.")
    return label, split


def _split_folders(root: Path, folders: list[str], *, needs_class_folders: bool) -> dict[str, str]:
    """Top folders that are splits, with the split of each; empty if the root is not split."""
    found = {
        name: _SPLIT_OF_FOLDER[name.casefold()]
        for name in folders
        if name.casefold() in _SPLIT_OF_FOLDER
        and (not needs_class_folders or _folders(root / name))
    }
    splits = list(found.values())
    if TRAIN not in splits or (len(splits) == 1 and len(folders) > 1):
        return {}
    for split in set(splits):
        names = [name for name, of in found.items() if of == split]
        if len(names) > 1:
            raise ValueError(
                f"The folders {', '.join(names)} in {str(root)!r} all stand for the split "
                f"{split!r}. Keep one of them."
            )
    return found


def _holds_masks(folder: Path, classes: set[str]) -> bool:
    """Whether a folder is there and holds nothing but folders that are named as classes are."""
    if _MASKS not in classes:
        return False
    entries = [entry for entry in os.scandir(folder) if not entry.name.startswith(".")]
    names = {entry.name for entry in entries if _is_folder(entry)}
    return bool(names) and len(names) == len(entries) and names <= classes - {_MASKS}


def _walk(
    root: Path,
    folder: str,
    layout: Layout,
    place: Callable[[str], _Place],
    above: frozenset[tuple[int, int]],
) -> None:
    """Adds every file below a folder; `place` gives the class and the split of a path."""
    try:
        identity = _identity(root / folder)
        entries = sorted(os.scandir(root / folder), key=lambda entry: entry.name)
    except OSError as error:
        layout.skipped.append(Skipped(f"{folder}/", f"cannot be opened: {error.strerror}"))
        return
    if identity in above:
        layout.skipped.append(Skipped(f"{folder}/", "a link back to a folder above it"))
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        path = _join(folder, entry.name)
        if _is_folder(entry):
            _walk(root, path, layout, place, above | {identity})
            continue
        try:
            status = entry.stat()
        except OSError as error:
            reason = "broken link" if entry.is_symlink() else f"cannot be opened: {error.strerror}"
            layout.skipped.append(Skipped(path, reason))
            continue
        if not stat.S_ISREG(status.st_mode):
            # Opening a pipe would wait for ever.
            layout.skipped.append(Skipped(path, "not a regular file"))
            continue
        label, split = place(path)
        layout.candidates.append(Candidate(path, label, split, status.st_size))


def _note_loose_files(root: Path, folder: str, layout: Layout) -> None:
    """Lists the files beside the class folders: images as skipped, others as ignored."""
    image_suffixes = Image.registered_extensions()
    for entry in os.scandir(root / folder):
        if entry.name.startswith(".") or _is_folder(entry):
            continue
        path = _join(folder, entry.name)
        if Path(entry.name).suffix.lower() in image_suffixes:
            layout.skipped.append(Skipped(path, "lies outside the class folders"))
        else:
            layout.ignored.append(path)


def _check(root: Path, layout: Layout) -> None:
    classes = sorted({candidate.label for candidate in layout.candidates})
    expected = f"Expected {root}/CLASS/* or {root}/train/CLASS/* and {root}/test/CLASS/*"
    if not classes:
        loose = [skipped for skipped in layout.skipped if "outside" in skipped.reason]
        if loose:
            raise ValueError(
                f"{len(loose)} images lie directly in {str(root)!r}, without a class folder. "
                f"{expected}; or pass `label_fn`, which gives the class of a path."
            )
        raise ValueError(f"No class folder with files in {str(root)!r}. {expected}.")
    if len(classes) == 1:
        raise ValueError(
            f"Only one class, {classes[0]!r}, in {str(root)!r}; at least two are needed. "
            f"{expected}."
        )


def _folders(path: Path) -> list[str]:
    """Names of the folders in a folder, sorted, without hidden ones."""
    return sorted(
        entry.name
        for entry in os.scandir(path)
        if not entry.name.startswith(".") and _is_folder(entry)
    )


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        # A link to itself is neither a folder nor a file.
        return False


def _identity(folder: Path) -> tuple[int, int]:
    """What stays the same however the folder is reached."""
    status = folder.stat()
    return status.st_dev, status.st_ino


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name
