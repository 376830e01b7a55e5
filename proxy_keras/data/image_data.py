"""ImageData: images of any source with their split, as the subsets that `fit` reads."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from proxy_keras.data.arrays import (
    Box,
    Labels,
    array_records,
    boxes_by_id,
    class_names,
    square_size,
)
from proxy_keras.data.data_split import RowReader, RowStream, Subset
from proxy_keras.data.description import describe
from proxy_keras.data.drawing import Drawing
from proxy_keras.data.layout import LabelFn
from proxy_keras.data.limit import limited
from proxy_keras.data.readers import ArrayReader, FileReader, Images
from proxy_keras.data.records import SPLITS, TEST, TRAIN, VAL, Record, Skipped
from proxy_keras.data.scan import scan_folder
from proxy_keras.data.shortcut import Shortcut
from proxy_keras.data.split_draw import SplitDraw
from proxy_keras.data.split_table import SplitTable, save_skipped
from proxy_keras.data.stream_reader import StreamReader
from proxy_keras.data.train_split import TrainSubset

_MIN_IMAGE_SIZE = 8


class ImageData:
    """Images with their split into train, val and test. Made by one of its `from_` methods.

    These arguments are shared by them:

        image_size: Side P in pixels; images are stretched to P x P.
        seed: Keys the split, the shortcut, and the order of the training batches.
        val, test: Shares of each class's distinct pictures, in (0, 1). A split that the data come
            with is kept, and its share not used.
        folds, fold: Cross-validation: `val` is fold number `fold` of `folds`.
        strict: Any image that would be skipped is an error.
        split_dir: Folder of a split saved earlier, which is used in place of a new draw. It must
            still match the data; files may have been renamed.
        shortcut: Share of images whose class a planted patch tells, see `Shortcut`; None: no patch.
        val_shortcut: Whether that patch tells the class in val too, as in train; False: it tells
            nothing there, as in test.
        progress: Show progress bars.

    The data themselves are never written to.

    Attributes:
        table: The split.
        classes: Class names by class id.
        image_size: Side of the images in pixels.
        seed: The seed.
        given_splits: The splits that the data came with; the others were drawn.
        skipped: What was left out: unreadable images, copies across given splits.
        boxes: Where the object is, by example id; None if that is not known.
        train: The training split, whose batches are shuffled and serve proxies.
        val: The validation split.
        test: The test split.
    """

    def __init__(
        self,
        draw: SplitDraw,
        *,
        readers: Mapping[str, RowReader | RowStream],
        rows: NDArray[np.int64],
        seed: int,
        skipped: Sequence[Skipped] = (),
        ignored: Sequence[str] = (),
        shortcut: float | None = None,
        val_shortcut: bool = True,
        boxes: Mapping[str, Box] | None = None,
    ) -> None:
        """Joins a split and the readers of its images.

        Args:
            draw: The split.
            readers: What reads each of train, val and test. Their rows count on from one another
                where they differ, so that a row stands for one image.
            rows: [N] int64, the row of each example of the table.
            seed: See the class.
            skipped: Images that were left out.
            ignored: What lay beside the classes.
            shortcut: See the class.
            val_shortcut: See the class.
            boxes: See the class.
        """
        self.table: SplitTable = draw.table
        self.classes = list(draw.table.classes)
        self.image_size = readers[TRAIN].image_size
        self.seed = seed
        self.given_splits = draw.given
        self.skipped = list(skipped)
        self.boxes = None if boxes is None else dict(boxes)
        self._ignored = list(ignored)
        self._conflicting = draw.conflicting
        finish = None
        if shortcut is not None:
            finish = Shortcut(
                self.table,
                rows,
                rate=shortcut,
                seed=seed,
                image_size=self.image_size,
                in_val=val_shortcut,
            )

        def arguments(split: str, places: NDArray[np.int64] | None = None) -> dict[str, Any]:
            places = self.table.rows(split) if places is None else places
            return {
                "reader": readers[split],
                "rows": rows[places],
                "labels": self.table.class_ids[places],
                "example_ids": [self.table.example_ids[place] for place in places],
                "name": split,
                "seed": seed,
                "classes": self.classes,
                "finish": finish,
                "boxes": self.boxes,
            }

        self._readers = readers
        self._arguments = arguments
        self.train = TrainSubset(**arguments(TRAIN))
        self.val = Subset(**arguments(VAL))
        self.test = Subset(**arguments(TEST))

    @classmethod
    def from_folder(
        cls,
        root: str | os.PathLike[str],
        *,
        image_size: int = 224,
        seed: int = 0,
        val: float = 0.15,
        test: float = 0.15,
        folds: int | None = None,
        fold: int | None = None,
        label_fn: LabelFn | None = None,
        strict: bool = False,
        split_dir: str | os.PathLike[str] | None = None,
        shortcut: float | None = None,
        val_shortcut: bool = True,
        progress: bool = True,
    ) -> ImageData:
        """Image files in `ROOT/CLASS/` or `ROOT/{train,val,test}/CLASS/`.

        Every file is decoded once, here; afterwards they are read when they are needed.

        Args:
            root: The folder.
            label_fn: Gives the class of a file by its path relative to `root`; None: the class is
                the name of the folder.

        Raises:
            FileNotFoundError, NotADirectoryError: There is no such folder.
            ValueError: See `layout.find_images` and `splits.draw_split`; or `strict` and an image
                cannot be used; or the saved split does not match.
        """
        _check_image_size(image_size)
        found = scan_folder(root, label_fn=label_fn, progress=progress)
        drawing = Drawing(seed, val, test, folds, fold, strict, split_dir)
        draw, skipped = drawing.split(found.records, found.skipped)
        reader = FileReader([Path(root) / path for path in draw.table.paths], image_size)
        return cls(
            draw,
            readers=dict.fromkeys(SPLITS, reader),
            rows=np.arange(len(draw.table)),
            seed=seed,
            skipped=skipped,
            ignored=found.ignored,
            shortcut=shortcut,
            val_shortcut=val_shortcut,
        )

    @classmethod
    def from_arrays(
        cls,
        images: Images,
        labels: Labels,
        *,
        test_images: Images | None = None,
        test_labels: Labels | None = None,
        classes: Sequence[str] | None = None,
        image_size: int | None = None,
        seed: int = 0,
        val: float = 0.15,
        test: float = 0.15,
        folds: int | None = None,
        fold: int | None = None,
        strict: bool = False,
        split_dir: str | os.PathLike[str] | None = None,
        shortcut: float | None = None,
        val_shortcut: bool = True,
        progress: bool = True,
        boxes: NDArray[Any] | None = None,
        test_boxes: NDArray[Any] | None = None,
    ) -> ImageData:
        """Images in arrays, in memory or as a `numpy.memmap`; they are not copied.

        Args:
            images: [N, h, w, 3], [N, h, w, 1] or [N, h, w] uint8.
            labels: [N] integers or strings.
            test_images: The same for a test split of the data's own; None: it is drawn.
            test_labels: Labels of `test_images`.
            classes: Class names by class id. None: the labels, sorted.
            image_size: None: the size that the images have, which must then be square.
            boxes: [N, 4] x0, y0, x1, y1 of the object in each image, in pixels of the array.
            test_boxes: The same for `test_images`.

        Raises:
            ValueError: Images, labels or boxes are of the wrong type or shape, do not go together,
                or see `splits.draw_split`.
        """
        parts = [("images", images, labels, TRAIN if test_images is not None else None)]
        if (test_images is None) != (test_labels is None):
            raise ValueError("`test_images` and `test_labels` go together. Received only one.")
        if test_images is not None and test_labels is not None:
            parts.append(("test_images", test_images, test_labels, TEST))
        names = class_names([part[2] for part in parts], classes)
        records: list[Record] = []
        for name, part_images, part_labels, split in parts:
            records += array_records(
                part_images, part_labels, classes, name=name, split=split, progress=progress
            )
        image_size = image_size or square_size(images)
        _check_image_size(image_size)
        drawing = Drawing(seed, val, test, folds, fold, strict, split_dir)
        draw, skipped = drawing.split(records, classes=names)
        rows = _rows(draw.table, records, np.arange(len(records)))
        reader = ArrayReader([part[1] for part in parts], image_size)
        return cls(
            draw,
            readers=dict.fromkeys(SPLITS, reader),
            rows=rows,
            seed=seed,
            skipped=skipped,
            shortcut=shortcut,
            val_shortcut=val_shortcut,
            boxes=boxes_by_id(
                draw.table, rows, [part[1] for part in parts], [boxes, test_boxes], image_size
            ),
        )

    @classmethod
    def from_dataset(
        cls,
        train: tf.data.Dataset,
        *,
        image_size: int,
        val: tf.data.Dataset | None = None,
        test: tf.data.Dataset | None = None,
        classes: Sequence[str] | None = None,
        seed: int = 0,
        val_share: float = 0.15,
        test_share: float = 0.15,
        folds: int | None = None,
        fold: int | None = None,
        strict: bool = False,
        split_dir: str | os.PathLike[str] | None = None,
        shortcut: float | None = None,
        val_shortcut: bool = True,
        progress: bool = True,
    ) -> ImageData:
        """A `tf.data.Dataset` of (image, label), un-batched, in a fixed order, without an end.

        It is read twice here, see `StreamReader`, and once from its beginning for every pass over
        a subset: also where that is only a part of it.

        Args:
            train: Images uint8 or float in [0, 255], or bytes of image files; labels integers or
                strings.
            val: The same for a validation split of the data's own; None: it is drawn from `train`.
            test: The same for a test split; None: it is drawn from `train`.
            classes: Class names by class id. None: the labels, sorted.
            val_share: What `val` is elsewhere: a share.
            test_share: What `test` is elsewhere: a share.

        Raises:
            ValueError: The data set cannot be used, see `StreamReader` and `splits.draw_split`.
        """
        _check_image_size(image_size)
        given = {TRAIN: train, VAL: val, TEST: test}
        readers: dict[str, StreamReader] = {}
        first_row = 0
        for split, dataset in given.items():
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
        names = class_names([[record.label for record in records]], classes)
        found = [item for reader in readers.values() for item in reader.skipped]
        drawing = Drawing(seed, val_share, test_share, folds, fold, strict, split_dir)
        draw, skipped = drawing.split(records, found, names)
        rows = np.concatenate([reader.rows for reader in readers.values()])
        return cls(
            draw,
            readers={split: readers.get(split, readers[TRAIN]) for split in SPLITS},
            rows=_rows(draw.table, records, rows),
            seed=seed,
            skipped=skipped,
            shortcut=shortcut,
            val_shortcut=val_shortcut,
        )

    @classmethod
    def from_source(cls, src: str, **options: Any) -> ImageData:
        """The data that a source such as "digits" or "npz:FILE" names: see `load_source`."""
        # Here, because a source makes its ImageData by the methods above.
        from proxy_keras.data.sources import load_source

        return load_source(src, **options)

    @property
    def num_classes(self) -> int:
        """The number of classes."""
        return len(self.classes)

    @property
    def split_sha256(self) -> str:
        """SHA-256 of the split table, in hex."""
        return self.table.sha256

    def all_images(self) -> Subset:
        """Every image, whatever its split, as one subset "all": for models trained elsewhere.

        Raises:
            ValueError: The splits are streams of their own, which cannot be read as one.
        """
        if len({id(reader) for reader in self._readers.values()}) > 1:
            raise ValueError(
                "The splits of these data are streams, each of its own. Take one of them."
            )
        everything = self._arguments(TEST, np.arange(len(self.table)))
        return Subset(**{**everything, "name": "all"})

    def limit_training(self, count: int) -> None:
        """Keeps only `count` of the training images, of each class its share; val and test stay.

        Which they are depends on (seed, content) alone: a smaller count keeps a part of them. The
        split, and its hash, stay the same: the others are in no split's use. Call it before
        batches are made.

        Args:
            count: Images, at least one per class and at most those of the training split.

        Raises:
            ValueError: `count` is out of that range.
        """
        places = limited(
            self.table.rows(TRAIN), self.table, count, seed=self.seed, what="training images"
        )
        self.train = TrainSubset(**self._arguments(TRAIN, places))

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Writes split.csv, split.sha256, labels.json and skipped.csv.

        Raises:
            FileExistsError: The folder holds another split already.
        """
        self.table.save(folder)
        save_skipped(folder, self.skipped)

    def describe(self) -> str:
        """What the data hold, in a few lines: counts by split, and what was left out or odd."""
        return describe(
            self.table,
            image_size=self.image_size,
            conflicting=self._conflicting,
            skipped=self.skipped,
            ignored=self._ignored,
        )


def _rows(
    table: SplitTable, records: Sequence[Record], rows: NDArray[np.int64]
) -> NDArray[np.int64]:
    """The row of each example of the table, given that of each record."""
    row_of = {record.path: row for record, row in zip(records, rows.tolist(), strict=True)}
    return np.array([row_of[path] for path in table.paths], np.int64)


def _check_image_size(image_size: int) -> None:
    if image_size < _MIN_IMAGE_SIZE:
        raise ValueError(f"`image_size` must be >= {_MIN_IMAGE_SIZE}. Received: {image_size}")
