"""BoxTable: the objects of image files by a table of boxes, `boxes.csv`."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from proxy_keras.data.images import read_image
from proxy_keras.metrics.localisation import masks_of_boxes

_CORNERS = ("x0", "y0", "x1", "y1")
_SIZE = ("width", "height")


@dataclass
class _Entry:
    """The boxes of a file [b, 4], and the (height, width) that they refer to, where it is told."""

    boxes: list[list[float]] = field(default_factory=list)
    size: tuple[float, float] | None = None


class BoxTable:
    """The boxes of images by their files.

    A CSV file with the columns `file` (relative to the data's folder, with "/"), `x0`, `y0`, `x1`,
    `y1`: the first and the last column and row of pixels that belong to the object, counted from 0,
    of the upright image. With the columns `width` and `height`, boxes are in pixels of an image of
    that size; without, of the file as it is. The object of a file with several rows is all of its
    boxes together. Other columns are of no effect.

    Args:
        file: The CSV file.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It lacks a column, or a row makes no sense; the message says which.
    """

    def __init__(self, file: str | os.PathLike[str]) -> None:
        self._file = Path(file)
        if not self._file.is_file():
            raise FileNotFoundError(
                f"There is no file {str(file)!r}. Give a CSV file with the columns file, "
                f"{', '.join(_CORNERS)}."
            )
        self._entries: dict[str, _Entry] = {}
        try:
            # Spreadsheets put a byte order mark in front.
            with self._file.open(encoding="utf-8-sig", newline="") as lines:
                reader = csv.DictReader(lines)
                self._check_columns(reader.fieldnames or [])
                for row in reader:
                    self._add(row, reader.line_num)
        except (UnicodeDecodeError, csv.Error) as error:
            raise ValueError(f"{self} is no CSV file of UTF-8 text: {error}") from error

    def __str__(self) -> str:
        """The file."""
        return str(self._file)

    def __len__(self) -> int:
        """The number of files that have a box."""
        return len(self._entries)

    def has(self, path: str) -> bool:
        """Whether an image has a box."""
        return path in self._entries

    def expected_name(self, path: str) -> str:
        """What the table must call an image."""
        return path

    def mask(self, path: str, file: Path, image_size: int) -> NDArray[np.bool_]:
        """The pixels of an image's boxes.

        Args:
            path: The image, as the table calls it.
            file: Its file.
            image_size: Side P to which the image is stretched.

        Returns:
            [P, P] bool.

        Raises:
            ValueError: A box lies outside the image, or the image is damaged.
            OSError: The image cannot be opened.
        """
        entry = self._entries[path]
        height, width = entry.size or read_image(file).shape[:2]
        boxes = np.array(entry.boxes)
        boxes[:, 2:] += 1.0
        if (boxes[:, :2] >= (width, height)).any() or (boxes[:, 2:] <= 0.0).any():
            raise ValueError(
                f"{self}: a box of {path!r} lies outside the image, which is {width:g} wide and "
                f"{height:g} high. Boxes are in pixels of the file; if they are of another size, "
                "add the columns width and height."
            )
        scale = np.array([width, height, width, height]) / image_size
        return pixels_of_boxes(boxes / scale, image_size)

    def _check_columns(self, columns: Sequence[str]) -> None:
        missing = [name for name in ("file", *_CORNERS) if name not in columns]
        if missing:
            raise ValueError(
                f"{self} lacks the columns {', '.join(missing)}. It has {', '.join(columns)}."
            )
        if len(set(_SIZE) & set(columns)) == 1:
            raise ValueError(f"{self}: the columns width and height go together.")
        self._has_size = _SIZE[0] in columns

    def _add(self, row: Mapping[str, str | None], line: int) -> None:
        wanted = (*_CORNERS, *_SIZE) if self._has_size else _CORNERS
        try:
            x0, y0, x1, y1, *size = (float(row[name] or "") for name in wanted)
        except ValueError:
            cells = ", ".join(f"{name}={row[name]!r}" for name in wanted)
            raise ValueError(f"{self}, line {line}: these must be numbers: {cells}.") from None
        if not (
            row["file"] and x0 <= x1 and y0 <= y1 and all(map(math.isfinite, (x0, y0, x1, y1)))
        ):
            raise ValueError(
                f"{self}, line {line}: a box needs a file, x0 <= x1 and y0 <= y1. Received: "
                f"file={row['file']!r}, {x0:g}, {y0:g}, {x1:g}, {y1:g}."
            )
        entry = self._entries.setdefault(row["file"], _Entry())
        entry.boxes.append([x0, y0, x1, y1])
        if size:
            width, height = size
            if min(size) < 1.0 or entry.size not in (None, (height, width)):
                raise ValueError(
                    f"{self}, line {line}: width and height must be >= 1, and the same in all rows "
                    f"of a file. Received: {width:g}, {height:g}."
                )
            entry.size = (height, width)


def pixels_of_boxes(boxes: ArrayLike, image_size: int) -> NDArray[np.bool_]:
    """[P, P] bool: pixels whose centre lies in one of the boxes, and of each box at least one.

    Args:
        boxes: [b, 4] x0, y0, x1, y1 in pixels of the image, where x1 and y1 are just outside.
        image_size: P.
    """
    given = np.asarray(boxes, np.float64)
    masks = masks_of_boxes(given, (image_size, image_size))
    for mask, (x0, y0, x1, y1) in zip(masks, given, strict=True):
        if not mask.any():
            # Smaller than a pixel: the one in which its middle lies.
            x, y = (min(max(int(s / 2), 0), image_size - 1) for s in (x0 + x1, y0 + y1))
            mask[y, x] = True
    return np.asarray(masks.any(axis=0))
