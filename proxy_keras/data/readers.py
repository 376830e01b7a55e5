"""ArrayReader and FileReader: any rows of a data set as square uint8 images, read when needed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from proxy_keras.data.images import read_image, resize
from proxy_keras.data.scan import default_workers

Images = NDArray[np.uint8]
"""[N, h, w, 3], or grey: [N, h, w, 1] or [N, h, w]. A `numpy.memmap` is one too."""


def check_images(images: Images, name: str) -> None:
    """Returns if an array can be read as images.

    Args:
        images: The array.
        name: What the caller calls it; starts the message.

    Raises:
        ValueError: Its type is not uint8, or its shape none of those of `Images`.
    """
    if images.dtype != np.uint8:
        way_out = "Convert them: images.astype('uint8')."
        if np.issubdtype(images.dtype, np.floating):
            way_out = "If they are in [0, 1]: (images * 255).round().astype('uint8')."
        raise ValueError(f"`{name}` must be uint8, 0 to 255. Received: {images.dtype}. {way_out}")
    has_pixels = images.ndim in (3, 4) and 0 not in images.shape[1:]
    if not has_pixels or (images.ndim == 4 and images.shape[3] not in (1, 3)):
        raise ValueError(
            f"`{name}` must have the shape [N, h, w, 3], [N, h, w, 1] or [N, h, w]. "
            f"Received: {list(images.shape)}"
        )


def to_rgb(images: Images) -> NDArray[np.uint8]:
    """Images of any of the allowed shapes as [N, h, w, 3] uint8."""
    coloured = images if images.ndim == 4 else images[..., np.newaxis]
    return np.broadcast_to(coloured, (*coloured.shape[:3], 3))


class ArrayReader:
    """Reads rows of arrays in memory, or on disk as a `numpy.memmap`.

    Args:
        images: One array of images, or several, whose rows are then counted on from one to the
            next (training and test images, say). They are kept as they are, not copied.
        image_size: Side P in pixels of the images read; resized to it where they differ.

    Raises:
        ValueError: See `check_images`.
    """

    def __init__(self, images: Images | Sequence[Images], image_size: int) -> None:
        self.image_size = image_size
        self._parts = [images] if isinstance(images, np.ndarray) else list(images)
        for part in self._parts:
            check_images(part, "images")
        self._starts = np.cumsum([0, *(len(part) for part in self._parts)])

    def __len__(self) -> int:
        """The number of rows."""
        return int(self._starts[-1])

    def read(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Images of the rows [B]: uint8 [B, P, P, 3], new in memory.

        Raises:
            IndexError: A row is outside [0, N).
        """
        rows = np.asarray(rows, np.int64)
        if rows.size and not (0 <= rows.min() and rows.max() < len(self)):
            raise IndexError(f"Rows must be in [0, {len(self)}). Received: {rows}")
        batch = np.empty((len(rows), self.image_size, self.image_size, 3), np.uint8)
        for part, start in zip(self._parts, self._starts[:-1], strict=True):
            places = np.flatnonzero((rows >= start) & (rows < start + len(part)))
            if places.size == 0:
                continue
            found = to_rgb(part[rows[places] - start])
            if found.shape[1:3] == batch.shape[1:3]:
                batch[places] = found
            else:
                for place, image in zip(places, found, strict=True):
                    batch[place] = resize(np.ascontiguousarray(image), self.image_size)
        return batch


class FileReader:
    """Reads image files in threads, each time anew: a data set may be larger than memory.

    Photographs in JPEG are decoded at a fraction of their size as long as that is at least twice
    the side wanted, see `images.read_image`.

    Args:
        paths: [N] the files.
        image_size: Side P in pixels of the images read.
        workers: Threads; None: one per CPU, at most 16.
    """

    def __init__(
        self,
        paths: Sequence[str | os.PathLike[str]],
        image_size: int,
        workers: int | None = None,
    ) -> None:
        self.image_size = image_size
        self._paths = [Path(path) for path in paths]
        self._pool = ThreadPoolExecutor(workers or default_workers(), thread_name_prefix="images")

    def __len__(self) -> int:
        """The number of rows."""
        return len(self._paths)

    def read(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Images of the rows [B]: uint8 [B, P, P, 3].

        Raises:
            UnreadableImageError: A file was damaged since it was scanned.
            OSError: A file can no longer be opened.
        """
        batch = np.empty((len(rows), self.image_size, self.image_size, 3), np.uint8)

        def read_one(place: int, row: int) -> None:
            image = read_image(self._paths[row], at_least=2 * self.image_size)
            batch[place] = resize(image, self.image_size)

        # `list` waits for all of them, and raises what a thread raised.
        list(self._pool.map(read_one, range(len(rows)), rows))
        return batch
