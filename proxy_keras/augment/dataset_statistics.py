"""Statistics of the training data that augmentations need: mean colour and examples per class."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from proxy_keras.augment.batch_layer import BatchLayer

_BATCH = 256


class Examples(Protocol):
    """Images that can be read without augmentation, such as a `TrainSplit`."""

    labels: NDArray[np.int32]
    classes: list[str]

    def originals(self, batch_size: int) -> tf.data.Dataset:
        """Return batches of (positions, images float32 [B, P, P, 3], labels)."""


def mean_colour(data: Examples) -> NDArray[np.float32]:
    """Compute the mean of all pixels, per channel: [3] float32 in [0, 255]. Reads every image."""
    total, count = np.zeros([3]), 0
    for _, images, _ in data.originals(_BATCH):
        pixels = images.numpy()
        total += pixels.sum(axis=(0, 1, 2), dtype=np.float64)
        count += pixels[..., 0].size
    return (total / max(count, 1)).astype(np.float32)


def class_counts(data: Examples) -> NDArray[np.int64]:
    """Count the examples of each class: [K] int64."""
    return np.bincount(data.labels, minlength=len(data.classes))


STATISTICS: dict[str, Callable[[Examples], Any]] = {
    "mean_colour": mean_colour,
    "class_counts": class_counts,
}


def adapt(layers: Iterable[BatchLayer], data: Examples) -> None:
    """Set the statistics of the data that the layers still need; each is computed at most once.

    Call it before the layers are used: a `tf.data` pipeline keeps the values it was built with.
    """
    known: dict[str, Any] = {}
    for layer in layers:
        for name in layer.missing_statistics:
            if name not in known:
                known[name] = STATISTICS[name](data)
            layer.set_statistic(name, known[name])
