"""The folders of a root that are its splits, told apart from folders that are its classes."""

from __future__ import annotations

import os
from pathlib import Path

from PIL import Image

from proxy_keras.data.folder_names import folders_in, splits_of_folders
from proxy_keras.data.left_out import is_left_out
from proxy_keras.data.records import TRAIN

MASKS = "masks"
"""A folder of object masks, in the same subfolders as the images."""


def find_split_folders(
    root: Path, folders: list[str], *, needs_class_folders: bool
) -> dict[str, str]:
    """Return the split of each folder that is one; empty if the folders are the classes.

    A root is split if it has a training folder that contains folders, and next to it a folder for
    validation or testing, or none with images. See `splits_of_folders` for the names.

    Args:
        root: The folder.
        folders: The names of its folders.
        needs_class_folders: Whether the class of an image is the name of its folder.

    Raises:
        ValueError: Two folders mean the same split, none is a training split with class folders,
            or folders could be splits or classes alike.
    """
    named = splits_of_folders(folders)
    found = {
        name: split
        for name, split in named.items()
        if not needs_class_folders or folders_in(root / name)
    }
    has_several = len(set(named.values())) > 1
    if not needs_class_folders and not (
        TRAIN in named.values() and (has_several or len(folders) == 1)
    ):
        return {}
    if has_several and TRAIN not in found.values():
        raise ValueError(
            f"{_listed(named)} in {str(root)!r} mean splits, but no training split has class "
            f"folders. Expected {root}/train/CLASS/* and {root}/test/CLASS/*; or pass `label_fn`, "
            "which returns the class of a path."
        )
    if not has_several and found:
        others = [name for name in folders if name not in found]
        with_images = [name for name in others if _holds_images(root / name)]
        with_images = [n for n in with_images if not _mirrors(root, n, found)]
        if with_images and all(_has_image(root / name) for name in found):
            return {}
        if with_images:
            raise ValueError(
                f"{_listed(found)} in {str(root)!r} contains folders, as a split does, but "
                f"{_listed(with_images)} beside it is no split, so the classes are unknown. Name "
                "splits train, val and test, and move other folders elsewhere; if all these "
                "folders are classes, rename those that are named like a split."
            )
        if TRAIN not in found.values():
            return {}
    for split in set(found.values()):
        names = [name for name, of in found.items() if of == split]
        if len(names) > 1:
            raise ValueError(
                f"The folders {', '.join(names)} in {str(root)!r} all mean the split {split!r}. "
                "Keep one of them."
            )
    return found


def check_no_splits_below(root: Path, classes: list[str]) -> None:
    """Check that the class folders do not contain splits themselves, as in `CLASS/train/`.

    Raises:
        ValueError: They do: those splits would be mixed.
    """
    for name in classes:
        try:
            inner = splits_of_folders(folders_in(root / name))
        except PermissionError:
            # The walk reports it.
            continue
        if TRAIN in inner.values() and len(set(inner.values())) > 1:
            folders = ", ".join(f"{name}/{split}/" for split in sorted(inner))
            raise ValueError(
                f"The splits in {str(root)!r} are below the classes: {folders}. They would be "
                f"mixed. Move them to {root}/train/CLASS/* and {root}/test/CLASS/*, or pass "
                f"{str(root / name)!r} if {name!r} is not a class."
            )


def _mirrors(root: Path, name: str, found: dict[str, str]) -> bool:
    """Return whether a folder of masks has the folders of the splits, or of their classes."""
    if name != MASKS:
        return False
    classes = {label for split in found for label in folders_in(root / split)}
    inside = set(folders_in(root / name))
    return bool(inside) and (inside <= set(found) or inside <= classes)


def _holds_images(folder: Path) -> bool:
    """Return whether any file below a folder is named like an image."""
    for _, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not is_left_out(name)]
        if any(is_image_name(name) for name in files if not is_left_out(name)):
            return True
    return False


def _has_image(folder: Path) -> bool:
    """Return whether any file directly in a folder is named like an image."""
    with os.scandir(folder) as entries:
        return any(is_image_name(entry.name) for entry in entries)


def is_image_name(name: str) -> bool:
    """Return whether the suffix of a file is one of image files."""
    return Path(name).suffix.lower() in Image.registered_extensions()


def _listed(names: dict[str, str] | list[str]) -> str:
    return ", ".join(f"{name}/" for name in names)
