"""Selection of the images to predict, with their true classes if known."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from serve.card import ModelCard
from serve.files import BadFile, FoundFiles, ImageFile, find_files
from serve.left_out import is_left_out
from serve.names import canonical
from serve.split_file import read_split

_SHOWN = 8


@dataclass
class Selection:
    """The images to predict.

    Attributes:
        files: The images in order; all or none of them have a `label_id`.
        bad: Files and folders that cannot be opened.
        is_labelled: Whether the true classes are known.
        notes: One line each about what was recognised and what was skipped.
    """

    files: list[ImageFile]
    bad: list[BadFile] = field(default_factory=list)
    is_labelled: bool = False
    notes: list[str] = field(default_factory=list)


def select(arguments: Sequence[str], card: ModelCard, *, labelled: bool | None) -> Selection:
    """Select the images given by arguments, with their classes if folders name them.

    A single folder is read as `ROOT/CLASS/*` if all its sub-folders are named like classes of the
    model and it contains no other images.

    Args:
        arguments: Paths of files and folders, or globs.
        card: The model's card.
        labelled: True: read a single folder as `ROOT/CLASS/*`, and skip everything else in it.
            False: ignore folder names. None: as described above.

    Raises:
        FileNotFoundError: A path does not exist, or a glob matches nothing.
        ValueError: `labelled` is True, but the arguments are not such a folder.
    """
    is_root = len(arguments) == 1 and os.path.isdir(arguments[0])
    if labelled and not is_root:
        raise ValueError(
            "--labelled needs exactly one folder, ROOT/CLASS/*. Give only that folder, or omit "
            "--labelled."
        )
    found = find_files(arguments)
    if not is_root or labelled is False:
        return _unlabelled(found, [])
    root = _ClassFolders(arguments[0], found, card)
    if labelled and not root.classes:
        raise ValueError(
            f"No sub-folder of {root.path!r} is named like a class of the model "
            f"({_listed(card.labels)}). Its sub-folders: {_listed(root.others) or 'none'}"
        )
    if labelled or (root.classes and not root.others and not root.loose):
        return root.selection()
    return _unlabelled(found, [root.why_not()] if root.classes else [])


def select_split(
    arguments: Sequence[str], card: ModelCard, *, split: Path, subset: str
) -> Selection:
    """Select the images of a folder that are in one subset of a run's split.csv.

    Args:
        arguments: Only the folder that the run was trained on.
        card: The model's card.
        split: The split.csv, or the run folder.
        subset: "test", "val" or "train".

    Raises:
        FileNotFoundError, ValueError: See `split_file.read_split`; also ValueError if the
            arguments are not one folder.
    """
    if len(arguments) != 1 or not os.path.isdir(arguments[0]):
        raise ValueError(
            f"--split needs one folder, the one that the run was trained on. Received: "
            f"{', '.join(arguments)}"
        )
    files = read_split(split, arguments[0], subset, card)
    notes = [f"{len(files)} images of {arguments[0]} are in {subset!r} of {split}"]
    if card.split_sha256 is None:
        notes.append(
            "the model's file does not say which split it was trained with, so the split could "
            "not be checked"
        )
    return Selection(files, is_labelled=True, notes=notes)


class _ClassFolders:
    """A folder that may be read as `ROOT/CLASS/*`.

    Attributes:
        path: Path of the folder.
        classes: Its sub-folders named like exactly one class of the model.
        others: Its other sub-folders.
        loose: Number of images outside the sub-folders.
    """

    def __init__(self, path: str, found: FoundFiles, card: ModelCard) -> None:
        self.path = path
        self._found = found
        self._labels = card.labels
        # If two classes share a name, their folder is ambiguous.
        labels = [canonical(name) for name in card.labels]
        names = Counter(labels)
        with os.scandir(path) as entries:
            folders = sorted(e.name for e in entries if not is_left_out(e.name) and e.is_dir())
        self._class_id_of = {
            folder: labels.index(name)
            for folder in folders
            if names[name := canonical(folder)] == 1
        }
        self.classes = list(self._class_id_of)
        self.others = [name for name in folders if name not in self._class_id_of]
        self.loose = sum("/" not in file.name for file in found.files)

    def selection(self) -> Selection:
        """Return the images in the class folders, with notes on what was skipped."""
        files = [
            replace(file, label_id=self._class_id_of[top])
            for file in self._found.files
            if (top := file.name.partition("/")[0]) in self._class_id_of and "/" in file.name
        ]
        bad = [bad for bad in self._found.bad if self._top_of(bad) in self._class_id_of]
        notes = [
            f"{self.path} is read as ROOT/CLASS/*, with {len(self.classes)} of the model's "
            f"{len(self._labels)} classes: {_listed(self.classes)}"
        ]
        if self.others:
            notes.append(f"skipped, not named like one class: {_listed(self.others)}")
        if self.loose:
            notes.append(f"skipped, outside the class folders: {self.loose} images")
        return Selection(files, bad, True, notes + _skipped(self._found.others))

    def why_not(self) -> str:
        """Explain why the folder is not read as `ROOT/CLASS/*`."""
        reasons = []
        if self.others:
            count = f"{len(self.others)} of {len(self.others) + len(self.classes)}"
            reasons.append(f"{count} sub-folders not named like one class: {_listed(self.others)}")
        if self.loose:
            reasons.append(f"{self.loose} images outside the sub-folders")
        return (
            f"{self.path} is not read as ROOT/CLASS/*: {'; '.join(reasons)}. --labelled skips "
            "those and scores the rest"
        )

    def _top_of(self, bad: BadFile) -> str:
        return os.path.relpath(bad.path, self.path).split(os.sep)[0]


def _unlabelled(found: FoundFiles, notes: list[str]) -> Selection:
    return Selection(found.files, found.bad, False, notes + _skipped(found.others))


def _skipped(others: Counter[str]) -> list[str]:
    if not others:
        return []
    suffixes = [f"{suffix or 'none'} ({count})" for suffix, count in sorted(others.items())]
    return [f"skipped, suffix not of an image: {_listed(suffixes)}"]


def _listed(names: Sequence[str]) -> str:
    more = f", ... ({len(names)} in total)" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
