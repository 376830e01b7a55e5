"""SplitImages: images with their split, as the subsets that `fit` reads."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proxy_keras.data.data_split import Subset
from proxy_keras.data.description import describe
from proxy_keras.data.image_source import ImageSource
from proxy_keras.data.limit import stratified_subset
from proxy_keras.data.records import TEST, TRAIN, VAL
from proxy_keras.data.shortcut import Shortcut
from proxy_keras.data.split_options import SplitOptions
from proxy_keras.data.split_table import SplitTable, save_skipped
from proxy_keras.data.train_split import TrainSubset


class SplitImages:
    """The subsets of an image source. `ImageData` adds the constructors; see its attributes.

    Args:
        source: The images.
        split: How they are split.
        shortcut: See `ImageData`.
        val_shortcut: See `ImageData`.

    Raises:
        ValueError: See `SplitOptions.apply` and `Shortcut`.
    """

    def __init__(
        self,
        source: ImageSource,
        split: SplitOptions,
        *,
        shortcut: float | None = None,
        val_shortcut: bool = True,
    ) -> None:
        draw, self.skipped = split.apply(source.records, source.skipped, source.classes)
        self.table: SplitTable = draw.table
        self.classes = list(draw.table.classes)
        self.image_size = source.readers[TRAIN].image_size
        self.seed = split.seed
        self.given_splits = draw.given
        index_of = {record.path: index for index, record in enumerate(source.records)}
        indices = [index_of[path] for path in draw.table.paths]
        self.boxes = None
        if source.boxes is not None:
            boxes = [source.boxes[index] for index in indices]
            self.boxes = dict(zip(draw.table.example_ids, boxes, strict=True))
        self._rows = source.rows[indices]
        self._readers = source.readers
        self._ignored = source.ignored
        self._conflicting = draw.conflicting
        self._finish = None
        if shortcut is not None:
            self._finish = Shortcut(
                self.table,
                self._rows,
                rate=shortcut,
                seed=split.seed,
                image_size=self.image_size,
                in_val=val_shortcut,
            )
        self.train = TrainSubset(**self._subset(TRAIN))
        self.val = Subset(**self._subset(VAL))
        self.test = Subset(**self._subset(TEST))

    @property
    def num_classes(self) -> int:
        """The number of classes."""
        return len(self.classes)

    @property
    def split_sha256(self) -> str:
        """SHA-256 of the split table, in hex."""
        return self.table.sha256

    def all_images(self) -> Subset:
        """Return the images of all splits as one subset "all", for models trained elsewhere.

        Raises:
            ValueError: The splits are separate streams.
        """
        if len({id(reader) for reader in self._readers.values()}) > 1:
            raise ValueError("The splits are separate streams. Use train, val or test instead.")
        everything = self._subset(TEST, np.arange(len(self.table)))
        return Subset(**{**everything, "name": "all"})

    def limit_training(self, count: int) -> None:
        """Keep only `count` training images, stratified by class; val and test do not change.

        The choice depends on (seed, content) alone, and a smaller count keeps a subset of a larger
        one. The split and its hash stay the same; the other images are not used. Call it before
        making batches.

        Args:
            count: Number of images, from one per class up to the size of the training split.

        Raises:
            ValueError: `count` is out of range.
        """
        positions = stratified_subset(
            self.table.rows(TRAIN), self.table, count, seed=self.seed, what="training images"
        )
        self.train = TrainSubset(**self._subset(TRAIN, positions))

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write split.csv, split.sha256, labels.json and skipped.csv.

        Raises:
            FileExistsError: The folder already holds another split.
        """
        self.table.save(folder)
        save_skipped(folder, self.skipped)

    def describe(self) -> str:
        """Summarise the data in a few lines: counts by split, and what was skipped or ignored."""
        return describe(
            self.table,
            image_size=self.image_size,
            conflicting=self._conflicting,
            skipped=self.skipped,
            ignored=self._ignored,
        )

    def _subset(self, split: str, positions: NDArray[np.int64] | None = None) -> dict[str, Any]:
        """Return the arguments of `Subset` for a split, or for given positions in the table."""
        positions = self.table.rows(split) if positions is None else positions
        return {
            "reader": self._readers[split],
            "rows": self._rows[positions],
            "labels": self.table.class_ids[positions],
            "example_ids": [self.table.example_ids[position] for position in positions],
            "name": split,
            "seed": self.seed,
            "classes": self.classes,
            "finish": self._finish,
            "boxes": self.boxes,
        }
