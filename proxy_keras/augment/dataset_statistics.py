"""What augmentations must know of the training data: its mean colour, and examples per class."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

_BATCH = 256


class Examples(Protocol):
    """Images that can be read unchanged, such as a `TrainSubset`."""

    labels: NDArray[np.int32]
    classes: list[str]

    def originals(self, batch_size: int) -> tf.data.Dataset:
        """Batches of (positions, images float32 [B, P, P, 3], labels)."""


def mean_colour(data: Examples) -> NDArray[np.float32]:
    """The mean of all pixels of all images, per channel: [3] float32 in [0, 255].

    Reads every image once.
    """
    total, count = np.zeros([3]), 0
    for _, images, _ in data.originals(_BATCH):
        pixels = images.numpy()
        total += pixels.sum(axis=(0, 1, 2), dtype=np.float64)
        count += pixels[..., 0].size
    return (total / max(count, 1)).astype(np.float32)


def class_counts(data: Examples) -> NDArray[np.int64]:
    """Examples of each class: [K] int64."""
    return np.bincount(data.labels, minlength=len(data.classes))


STATISTICS: dict[str, Callable[[Examples], Any]] = {
    "mean_colour": mean_colour,
    "class_counts": class_counts,
}


class Adaptable(Protocol):
    """An augmentation that may want to know something of the data; see `BatchLayer`."""

    @property
    def missing_statistics(self) -> Sequence[str]:
        """Names of `STATISTICS`."""

    def set_statistic(self, name: str, value: Any) -> None:
        """Takes one of them."""


def adapt(layers: Iterable[Adaptable], data: Examples) -> None:
    """Tells each layer what it has yet to know of the data; each fact is computed once at most.

    Call it before the layers are used: a `tf.data` pipeline keeps what they knew when it was made.
    """
    known: dict[str, Any] = {}
    for layer in layers:
        for name in layer.missing_statistics:
            if name not in known:
                known[name] = STATISTICS[name](data)
            layer.set_statistic(name, known[name])
