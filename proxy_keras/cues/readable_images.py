"""ReadableImages: images of a split or of an array, read in batches by position."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from proxy_keras.data.data_split import DataSplit


class ReadableImages(Protocol):
    """Images in which cues are looked for.

    Attributes:
        example_ids: N ids, unique.
        labels: [N] int32 class ids; -1: unknown.
    """

    example_ids: Sequence[str]
    labels: NDArray[np.int32]

    def batches(
        self, positions: NDArray[np.int64], batch_size: int
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """Yield positions [B] and images [B, H, W, C] float32, each of `positions` once.

        The order is that of the source.
        """


class SplitImagesReader:
    """The unchanged images of a split; see `ReadableImages`."""

    def __init__(self, split: DataSplit) -> None:
        self.example_ids: Sequence[str] = split.example_ids
        self.labels = split.labels
        self._split = split

    def batches(
        self, positions: NDArray[np.int64], batch_size: int
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """Yield positions [B] and images [B, P, P, 3] float32 in [0, 255]."""
        for places, images, _ in self._split.originals(batch_size, positions).as_numpy_iterator():
            yield places, images


class ArrayImages:
    """Images of an array, in the range that the model takes; see `ReadableImages`.

    Args:
        images: [N, H, W, C], any real dtype. A `numpy.memmap` is read in batches.
        labels: [N] integers, class ids of the model, -1 for unknown ones; None: all are unknown.

    Raises:
        ValueError: `images` is not a batch of images, or the labels do not match it.
    """

    def __init__(self, images: ArrayLike, labels: ArrayLike | None = None) -> None:
        self._images = _as_array(images)
        if self._images.ndim != 4 or not self._images.size or self._images.dtype.kind not in "biuf":
            raise ValueError(
                "`images` must be an ImageData, one of its splits, or an array [N, H, W, C] of "
                f"numbers with at least one image. Received: shape {self._images.shape}, dtype "
                f"{self._images.dtype}"
            )
        count = len(self._images)
        given = np.full([count], -1) if labels is None else np.asarray(labels)
        if given.shape != (count,) or not np.issubdtype(given.dtype, np.integer):
            raise ValueError(
                f"`labels` must be {count} integers, one per image. Received: shape {given.shape}, "
                f"dtype {given.dtype}. For one-hot labels pass their argmax."
            )
        self.example_ids: Sequence[str] = [str(number) for number in range(count)]
        self.labels = given.astype(np.int32)

    def batches(
        self, positions: NDArray[np.int64], batch_size: int
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """Yield positions [B] and images [B, H, W, C] float32."""
        for start in range(0, len(positions), batch_size):
            places = positions[start : start + batch_size]
            yield places, self._images[places].astype(np.float32)


def _as_array(images: Any) -> NDArray[Any]:
    if isinstance(images, np.ndarray):
        return images
    try:
        return np.asarray(images)
    except ValueError as error:
        raise ValueError(
            "`images` must be an array [N, H, W, C], all of one size. Received: a "
            f"{type(images).__name__} of different sizes. Resize them first."
        ) from error
