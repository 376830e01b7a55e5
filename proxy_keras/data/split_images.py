"""SplitImages: images with their split, as the subsets that `fit` reads."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proxy_keras.data.arrays import Box
from proxy_keras.data.data_split import DataSplit, Finish
from proxy_keras.data.group_description import describe_groups
from proxy_keras.data.groups import Groups
from proxy_keras.data.image_source import ImageSource
from proxy_keras.data.limit import stratified_subset
from proxy_keras.data.records import SPLITS, TEST, TRAIN, VAL
from proxy_keras.data.shortcut import Shortcut
from proxy_keras.data.split_draw import draw_split, match_saved_split
from proxy_keras.data.split_table import SKIPPED_FILE, SplitTable, first_few, save_skipped
from proxy_keras.data.train_split import TrainSplit
from proxy_keras.data.validation_like_training import positions_like_training
from proxy_keras.io.names import printable


class SplitImages:
    """The subsets of an image source. `ImageData` adds the constructors; see its attributes.

    Args:
        source: The images. For the other arguments see `ImageData`.

    Raises:
        ValueError: `strict` is set and an image would be skipped, a class has no usable image, the
            saved split does not match, or see `draw_split` and `Shortcut`.
    """

    def __init__(
        self,
        source: ImageSource,
        *,
        seed: int,
        val: float,
        test: float,
        folds: int | None = None,
        fold: int | None = None,
        strict: bool = False,
        split_dir: str | os.PathLike[str] | None = None,
        shortcut: float | None = None,
        val_shortcut: bool = True,
        allow_missing_classes: bool = False,
    ) -> None:
        if split_dir is None:
            if not allow_missing_classes:
                source.check_no_class_lost()
            draw = draw_split(
                source.records,
                seed=seed,
                val=val,
                test=test,
                folds=folds,
                fold=fold,
                classes=source.classes,
            )
        else:
            draw = match_saved_split(SplitTable.load(split_dir), source.records)
        self.skipped = sorted([*source.skipped, *draw.leaking], key=lambda item: item.path)
        if strict and self.skipped:
            raise ValueError(
                f"{len(self.skipped)} images cannot be used: {first_few(self.skipped)}. Fix or "
                "remove them, or leave out `strict` to skip them."
            )
        self.table: SplitTable = draw.table
        self.classes = list(draw.table.classes)
        self.image_size = source.readers[TRAIN].image_size
        self.seed = seed
        self.given_splits = draw.given
        index_of = {record.path: index for index, record in enumerate(source.records)}
        indices = [index_of[path] for path in draw.table.paths]
        self.boxes = None
        if source.boxes is not None:
            boxes = [source.boxes[index] for index in indices]
            self.boxes = dict(zip(draw.table.example_ids, boxes, strict=True))
        self.groups = Groups.unknown_for(len(indices))
        if source.groups is not None:
            self.groups = Groups.of([source.groups[index] for index in indices])
        self._groups_without_image = source.groups_without_image
        self._rows = source.rows[indices]
        self._readers = source.readers
        self._ignored = source.ignored
        self._lost = source.lost_classes()
        self._conflicting = draw.conflicting
        self._finish: Finish | None = None
        planted: list[Sequence[Box]] = []
        if source.planted is not None:
            planted.append([source.planted[index] for index in indices])
        if shortcut is not None:
            patch = Shortcut(
                self.table,
                self._rows,
                rate=shortcut,
                seed=seed,
                image_size=self.image_size,
                in_val=val_shortcut,
            )
            self._finish = patch
            planted.append([patch.box] * len(indices))
        self.planted: dict[str, tuple[Box, ...]] | None = None
        if planted:
            boxes_of = zip(*planted, strict=True)
            self.planted = dict(zip(draw.table.example_ids, boxes_of, strict=True))
        self.train = TrainSplit(**self._subset(TRAIN))
        self.val = DataSplit(**self._subset(VAL))
        self.test = DataSplit(**self._subset(TEST))

    @property
    def num_classes(self) -> int:
        """The number of classes."""
        return len(self.classes)

    @property
    def split_sha256(self) -> str:
        """SHA-256 of the split table, in hex."""
        return self.table.sha256

    def all_images(self) -> DataSplit:
        """Return the images of all splits as one subset "all", for models trained elsewhere.

        Raises:
            ValueError: The splits are separate streams.
        """
        if len({id(reader) for reader in self._readers.values()}) > 1:
            raise ValueError("The splits are separate streams. Use train, val or test instead.")
        everything = self._subset(TEST, np.arange(len(self.table)))
        return DataSplit(**{**everything, "name": "all"})

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
        self.train = TrainSplit(**self._subset(TRAIN, positions))

    def match_validation(self) -> None:
        """Keep only validation images that have, together, the group shares of the training images.

        A validation split with other shares, such as one in which all groups are equally frequent,
        tells more of the groups than whoever has no group labels can know. See
        `positions_like_training`. The split and its hash stay the same; the other images are not
        used. Call it before making batches, and after `limit_training`.

        Raises:
            ValueError: No group is known, or train and val have no group in common.
        """
        kept = positions_like_training(
            self.train.groups, self.val.groups, self.val.example_ids, seed=self.seed
        )
        self.val = DataSplit(**self._subset(VAL, self.table.rows(VAL)[kept]))

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write split.csv, split.sha256, labels.json and skipped.csv.

        Raises:
            FileExistsError: The folder already holds another split.
        """
        self.table.save(folder)
        save_skipped(folder, self.skipped)

    def describe(self) -> str:
        """Summarise the data in a few lines: counts by split, and what is missing or left out."""
        table = self.table
        sizes = ", ".join(f"{split} {len(table.rows(split)):,}" for split in SPLITS)
        lines = [
            f"{len(table):,} images of {len(self.classes)} classes at {self.image_size} px: "
            f"{sizes}.",
            f"Split {table.sha256[:16]}.",
        ]
        present = set(zip(table.labels, table.splits, strict=True))
        for split in SPLITS:
            if absent := [name for name in table.classes if (name, split) not in present]:
                lines.append(
                    f"Classes without a {split} image: {len(absent)}: {first_few(absent)}."
                )
        if self._lost:
            lines.append(
                f"Classes without a usable image: {len(self._lost)}: {first_few(self._lost)}."
            )
        if self._conflicting:
            same = [" = ".join(record.path for record in group) for group in self._conflicting]
            lines.append(f"Same picture under different labels: {len(same)}: {first_few(same)}.")
        if self.skipped:
            found = f"{len(self.skipped)}: {first_few(self.skipped)}"
            lines.append(f"Skipped, see {SKIPPED_FILE}: {found}.")
        lines += describe_groups(
            {part.name: part.groups for part in (self.train, self.val, self.test)},
            self._groups_without_image,
        )
        if self._ignored:
            lines.append(f"Ignored, outside the class folders: {first_few(self._ignored)}.")
        return printable("\n".join(lines))

    def _subset(self, split: str, positions: NDArray[np.int64] | None = None) -> dict[str, Any]:
        """Return the arguments of `DataSplit` for a split, or for given positions in the table."""
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
            "planted": self.planted,
            "groups": self.groups.at(positions),
        }
