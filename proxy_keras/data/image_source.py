"""ImageSource: the images of a folder, of arrays or of a `tf.data.Dataset`, before the split."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from proxy_keras.data.arrays import (
    Box,
    Labels,
    array_records,
    as_images,
    as_labels,
    checked_classes,
    class_names,
    scale_boxes,
)
from proxy_keras.data.data_split import RowReader, RowStream
from proxy_keras.data.group_names import GroupNames, check_group_names
from proxy_keras.data.group_table import GROUPS, GroupTable
from proxy_keras.data.layout import LabelFn
from proxy_keras.data.readers import ArrayReader, FileReader, Images
from proxy_keras.data.records import SPLITS, TEST, TRAIN, VAL, Record, Skipped
from proxy_keras.data.scan import scan_folder
from proxy_keras.data.scan_index import CACHE, Index
from proxy_keras.data.stream_reader import StreamReader

_MIN_IMAGE_SIZE = 8


@dataclass(frozen=True)
class ImageSource:
    """Images that have not been split yet, and the readers that load them.

    Attributes:
        records: One per image.
        readers: The reader of train, val and test. Different readers use different row numbers.
        rows: [N] int64, the row of each record in its reader.
        classes: Class names by class id; None: the labels, sorted.
        skipped: Images that cannot be used.
        ignored: Files and folders outside the class folders.
        boxes: [N] the box of the object in each image; None: unknown.
        planted: [N] the box of a planted shortcut in each image; None: none is planted.
        groups: [N] the group of each image, None for those where it is unknown; None: no group is.
        groups_without_image: Files that the table of groups has, but that are no images.
    """

    records: Sequence[Record]
    readers: Mapping[str, RowReader | RowStream]
    rows: NDArray[np.int64]
    classes: Sequence[str] | None = None
    skipped: Sequence[Skipped] = ()
    ignored: Sequence[str] = ()
    boxes: Sequence[Box] | None = None
    planted: Sequence[Box] | None = None
    groups: Sequence[str | None] | None = None
    groups_without_image: Sequence[str] = ()

    def lost_classes(self) -> list[str]:
        """Return the classes that have files or examples, but not one usable image; sorted."""
        usable = {record.label for record in self.records}
        return sorted({item.label for item in self.skipped if item.label is not None} - usable)

    def check_no_class_lost(self) -> None:
        """Check that every class has a usable image.

        Raises:
            ValueError: A class has none.
        """
        lost = self.lost_classes()
        if not lost:
            return
        of_first = [item for item in self.skipped if item.label == lost[0]]
        more = f" (and of {len(lost) - 1} more: {', '.join(lost[1:4])})" if lost[1:] else ""
        raise ValueError(
            f"Class {lost[0]!r}{more} has no usable image: {len(of_first)} skipped, the first is "
            f"{of_first[0]}. Convert its images to PNG or JPEG, or remove the folder if it is no "
            "class. To train without the class, pass allow_missing_classes=True "
            "(--allow-missing-classes)."
        )


def folder_source(
    root: str | os.PathLike[str],
    *,
    image_size: int,
    label_fn: LabelFn | None = None,
    groups: str | os.PathLike[str] | None = None,
    progress: bool = True,
    index: Index = CACHE,
) -> ImageSource:
    """Scan a folder of image files; see `ImageData.from_folder`."""
    image_size = checked_image_size(image_size)
    found = scan_folder(root, label_fn=label_fn, progress=progress, index=index)
    reader = FileReader(found.files, image_size)
    ignored, table = found.ignored, None
    if groups is not None:
        table = GroupTable(groups)
    elif (own := Path(root) / GROUPS).is_file():
        table, ignored = GroupTable(own), [name for name in ignored if name != GROUPS]
    paths = [record.path for record in found.records]
    known = [*paths, *(item.path for item in found.skipped)]
    return ImageSource(
        found.records,
        dict.fromkeys(SPLITS, reader),
        np.arange(len(found.records)),
        skipped=found.skipped,
        ignored=ignored,
        groups=None if table is None else table.of(paths),
        groups_without_image=() if table is None else table.without_image(known),
    )


def array_source(
    images: Images,
    labels: Labels,
    *,
    test_images: Images | None = None,
    test_labels: Labels | None = None,
    classes: Sequence[str] | None = None,
    image_size: int | None = None,
    boxes: NDArray[Any] | None = None,
    test_boxes: NDArray[Any] | None = None,
    groups: GroupNames | None = None,
    test_groups: GroupNames | None = None,
    progress: bool = True,
) -> ImageSource:
    """Check and hash images in arrays; see `ImageData.from_arrays`."""
    classes = checked_classes(classes)
    images, labels = as_images(images, "images"), as_labels(labels, "images")
    parts = [("images", images, labels, TRAIN if test_images is not None else None)]
    if (test_images is None) != (test_labels is None):
        raise ValueError("Pass `test_images` and `test_labels` together. Received only one.")
    if test_images is not None and test_labels is not None:
        test_images = as_images(test_images, "test_images")
        test_labels = as_labels(test_labels, "test_images")
        parts.append(("test_images", test_images, test_labels, TEST))
    names = class_names([part[2] for part in parts], classes)
    records: list[Record] = []
    for name, part_images, part_labels, split in parts:
        records += array_records(
            part_images, part_labels, classes, name=name, split=split, progress=progress
        )
    height, width = images.shape[1:3]
    if image_size is None and height != width:
        raise ValueError(
            f"The images are {height} x {width}, not square. Pass `image_size` to stretch them."
        )
    image_size = checked_image_size(height if image_size is None else image_size)
    arrays = [part[1] for part in parts]
    group_names = check_group_names(
        {"groups": (groups, len(images)), "test_groups": (test_groups, sum(map(len, arrays[1:])))}
    )
    return ImageSource(
        records,
        dict.fromkeys(SPLITS, ArrayReader(arrays, image_size)),
        np.arange(len(records)),
        classes=names,
        boxes=scale_boxes([boxes, test_boxes], arrays, image_size),
        groups=group_names,
    )


def dataset_source(
    train: tf.data.Dataset,
    *,
    image_size: int,
    val: tf.data.Dataset | None = None,
    test: tf.data.Dataset | None = None,
    classes: Sequence[str] | None = None,
    groups: GroupNames | None = None,
    val_groups: GroupNames | None = None,
    test_groups: GroupNames | None = None,
    progress: bool = True,
) -> ImageSource:
    """Read `tf.data.Dataset`s of (image, label) once through; see `ImageData.from_dataset`."""
    image_size, classes = checked_image_size(image_size), checked_classes(classes)
    readers: dict[str, StreamReader] = {}
    first_row = 0
    for split, dataset in {TRAIN: train, VAL: val, TEST: test}.items():
        if dataset is not None:
            readers[split] = StreamReader(
                dataset,
                image_size,
                name=split,
                classes=classes,
                split=split,
                first_row=first_row,
                progress=progress,
            )
            first_row += len(readers[split])
    records = [record for reader in readers.values() for record in reader.records]
    rows = np.concatenate([reader.rows for reader in readers.values()])
    given = {"groups": (TRAIN, groups), "val_groups": (VAL, val_groups)}
    given["test_groups"] = (TEST, test_groups)
    names = check_group_names(
        {
            name: (part, len(readers[split]) if split in readers else 0)
            for name, (split, part) in given.items()
        }
    )
    return ImageSource(
        records,
        {split: readers.get(split, readers[TRAIN]) for split in SPLITS},
        rows,
        classes=class_names([[record.label for record in records]], classes),
        skipped=[item for reader in readers.values() for item in reader.skipped],
        groups=None if names is None else [names[row] for row in rows.tolist()],
    )


def checked_image_size(image_size: Any) -> int:
    """Return the side of the images as an integer.

    Args:
        image_size: An integer, or a pair of equal integers, as Keras takes.

    Raises:
        TypeError: It is something else.
        ValueError: The pair is not equal, or the side is too small.
    """
    sides = tuple(image_size) if isinstance(image_size, (tuple, list)) else (image_size,)
    if len(sides) not in (1, 2) or not all(
        isinstance(side, (int, np.integer)) and not isinstance(side, bool) for side in sides
    ):
        raise TypeError(f"`image_size` must be an integer, such as 224. Received: {image_size!r}")
    if len(set(sides)) > 1:
        raise ValueError(
            f"`image_size` must be one side, because images are stretched to a square. Received: "
            f"{image_size}. Pass image_size={max(sides)}."
        )
    if sides[0] < _MIN_IMAGE_SIZE:
        raise ValueError(f"`image_size` must be >= {_MIN_IMAGE_SIZE}. Received: {image_size}")
    return int(sides[0])
