"""Object boxes of image files from a table, `boxes.csv`."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from proxy_keras.data.images import read_image
from proxy_keras.io.csv_table import Cells, read_csv_table
from proxy_keras.io.names import canonical
from proxy_keras.metrics.localisation import masks_of_boxes

_CORNERS = ("x0", "y0", "x1", "y1")
_SIZE = ("width", "height")


@dataclass
class _Entry:
    """The boxes [b, 4] of a file and the (height, width) they refer to, if given."""

    boxes: list[list[float]] = field(default_factory=list)
    size: tuple[float, float] | None = None


class BoxTable:
    """Object boxes by image file.

    The columns of the CSV file: `file` (path relative to the data's folder, with "/"), and `x0`,
    `y0`, `x1`, `y1`: the first and last pixel column and row of the object, counted from 0, in the
    upright image. If `width` and `height` are given, boxes are in pixels of an image of that size;
    otherwise, of the file itself. Several rows of a file are several parts of one object. Other
    columns are ignored.

    Args:
        file: The CSV file.

    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: A column is missing, or a row is invalid.
    """

    def __init__(self, file: str | os.PathLike[str]) -> None:
        self._file = Path(file)
        table = read_csv_table(self._file, ("file", *_CORNERS))
        if len(set(_SIZE) & set(table.columns)) == 1:
            raise ValueError(f"{self}: add both columns width and height, or neither.")
        self._has_size = _SIZE[0] in table.columns
        self._entries: dict[str, _Entry] = {}
        for line, row in table.lines:
            self._add(row, line)

    def __str__(self) -> str:
        """Return the path of the file."""
        return str(self._file)

    def __len__(self) -> int:
        """Return the number of images that have a box."""
        return len(self._entries)

    def has(self, path: str) -> bool:
        """Return whether an image has a box."""
        return canonical(path) in self._entries

    def expected_name(self, path: str) -> str:
        """Return the value of the column `file` for an image."""
        return path

    def mask(self, path: str, file: Path, image_size: int) -> NDArray[np.bool_]:
        """Return the pixels inside the boxes of an image, [P, P].

        Args:
            path: The image's path in the table.
            file: Its file.
            image_size: Side P to which the image is stretched.

        Raises:
            ValueError: A box lies outside the image, or the image is damaged.
            OSError: The image cannot be opened.
        """
        entry = self._entries[canonical(path)]
        height, width = entry.size or read_image(file).shape[:2]
        boxes = np.array(entry.boxes)
        boxes[:, 2:] += 1.0
        if (boxes[:, :2] >= (width, height)).any() or (boxes[:, 2:] <= 0.0).any():
            raise ValueError(
                f"{self}: a box of {path!r} lies outside the image of {width:g} x {height:g} "
                "pixels (width x height). Boxes are in pixels of the file; if they refer to "
                "another size, add the columns width and height."
            )
        scale = np.array([width, height, width, height]) / image_size
        return pixels_of_boxes(boxes / scale, image_size)

    def _add(self, row: Cells, line: int) -> None:
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
        entry = self._entries.setdefault(canonical(row["file"]), _Entry())
        entry.boxes.append([x0, y0, x1, y1])
        if size:
            width, height = size
            if min(size) < 1.0 or entry.size not in (None, (height, width)):
                raise ValueError(
                    f"{self}, line {line}: width and height must be >= 1 and the same in all rows "
                    f"of a file. Received: {width:g}, {height:g}."
                )
            entry.size = (height, width)


def pixels_of_boxes(boxes: ArrayLike, image_size: int) -> NDArray[np.bool_]:
    """Return the pixels whose centre lies in a box, at least one per box: [P, P] bool.

    Args:
        boxes: [b, 4] x0, y0, x1, y1 in pixels of the image; x1 and y1 are exclusive.
        image_size: P.
    """
    given = np.asarray(boxes, np.float64)
    masks = masks_of_boxes(given, (image_size, image_size))
    for mask, (x0, y0, x1, y1) in zip(masks, given, strict=True):
        if not mask.any():
            # Smaller than a pixel: take the pixel at its centre.
            x, y = (min(max(int(s / 2), 0), image_size - 1) for s in (x0 + x1, y0 + y1))
            mask[y, x] = True
    return np.asarray(masks.any(axis=0))
