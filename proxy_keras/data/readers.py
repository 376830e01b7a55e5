"""Readers of arrays and image files: rows as square uint8 images, read on demand."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from proxy_keras.data.images import read_resized, resize
from proxy_keras.data.scan import default_workers
from proxy_keras.data.scanned_files import ScannedFiles

Images = NDArray[np.uint8]
"""[N, h, w, 3], or grey: [N, h, w, 1] or [N, h, w]. May be a `numpy.memmap`."""


def check_images(images: Images, name: str) -> None:
    """Check that an array can be read as images.

    Args:
        images: The array.
        name: Name of the argument, for the error message.

    Raises:
        ValueError: The type is not uint8, or the shape is not one of those of `Images`.
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
    """Convert images of any allowed shape to [N, h, w, 3] uint8."""
    coloured = images if images.ndim == 4 else images[..., np.newaxis]
    return np.broadcast_to(coloured, (*coloured.shape[:3], 3))


class ArrayReader:
    """A reader of arrays in memory, or on disk as a `numpy.memmap`.

    Args:
        images: One array of images or several, such as training and test images, whose rows are
            numbered consecutively. They are not copied.
        image_size: Side P in pixels; images of another size are resized.

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
        """Read the images of rows [B] as a new array, uint8 [B, P, P, 3].

        Raises:
            IndexError: A row is outside [0, N).
        """
        rows = np.asarray(rows, np.int64)
        if rows.size and not (0 <= rows.min() and rows.max() < len(self)):
            raise IndexError(f"Rows must be in [0, {len(self)}). Received: {rows}")
        batch = np.empty((len(rows), self.image_size, self.image_size, 3), np.uint8)
        for part, start in zip(self._parts, self._starts[:-1], strict=True):
            positions = np.flatnonzero((rows >= start) & (rows < start + len(part)))
            if positions.size == 0:
                continue
            found = to_rgb(part[rows[positions] - start])
            if found.shape[1:3] == batch.shape[1:3]:
                batch[positions] = found
            else:
                for position, image in zip(positions, found, strict=True):
                    batch[position] = resize(np.ascontiguousarray(image), self.image_size)
        return batch


class FileReader:
    """A reader of image files in threads. Nothing is cached: data may be larger than memory.

    JPEG files are decoded at a reduced size of at least twice `image_size`, see
    `images.read_resized`. In tf.data pipelines, ordinary files whose images have the side P are
    read by TensorFlow's operations, see `native_images`.

    Args:
        files: [N] their paths, or the files of a scan, which must not change after it.
        image_size: Side P in pixels.
        workers: Number of threads; None: one per CPU, at most 16.
    """

    def __init__(
        self,
        files: Sequence[str | os.PathLike[str]] | ScannedFiles,
        image_size: int,
        *,
        workers: int | None = None,
    ) -> None:
        self.image_size = image_size
        self._files = files
        self._is_native = np.zeros(len(files), bool)
        if isinstance(files, ScannedFiles):
            found = files.examined
            has_size = (found["height"] == image_size) & (found["width"] == image_size)
            self._is_native = found["is_ordinary"] & has_size
        self._pool = ThreadPoolExecutor(workers or default_workers(), thread_name_prefix="images")

    def __len__(self) -> int:
        """The number of rows."""
        return len(self._files)

    def read(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Read the images of rows [B]: uint8 [B, P, P, 3].

        Raises:
            UnreadableImageError: A file was damaged after it was scanned.
            ChangedImageError: A file has another content than when it was scanned.
            OSError: A file can no longer be opened.
        """
        batch = np.empty((len(rows), self.image_size, self.image_size, 3), np.uint8)

        def read_one(position: int, row: int) -> None:
            batch[position] = read_resized(self._files[row], self.image_size)

        # `list` waits for all threads, and raises their errors.
        list(self._pool.map(read_one, range(len(rows)), rows))
        self.check(rows)
        return batch

    def locate(
        self, rows: NDArray[np.int64]
    ) -> tuple[NDArray[np.object_], NDArray[np.bool_], NDArray[np.uint8]]:
        """Tell how the images of rows [B] are read; see `NativeReader`."""
        is_native = self._is_native[rows]
        paths = [os.fsencode(self._files[row]) for row in rows[is_native]]
        return np.array(paths, object), is_native, self.read(rows[~is_native])

    def check(self, rows: NDArray[np.int64]) -> None:
        """Check that files are still those that were scanned, if they were; see `ScannedFiles`."""
        if isinstance(self._files, ScannedFiles):
            self._files.check(rows)
