"""Statistics of the training data that augmentations need: mean colour and examples per class."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Protocol

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from proxy_keras.augment.batch_layer import BatchLayer
from proxy_keras.io.progress import progress_bar

_BATCH = 256


class Examples(Protocol):
    """Images that can be read without augmentation, such as a `TrainSplit`."""

    labels: NDArray[np.int32]
    classes: list[str]

    def originals(self, batch_size: int) -> tf.data.Dataset:
        """Return batches of (positions, images float32 [B, P, P, 3], labels)."""


def mean_colour(data: Examples, *, progress: bool = True) -> NDArray[np.float32]:
    """Compute the mean of all pixels, per channel: [3] float32 in [0, 255]. Reads every image.

    Args:
        data: The images.
        progress: Whether to show a progress bar on a terminal.
    """
    total, count = np.zeros([3]), 0
    batches = progress_bar(
        data.originals(_BATCH),
        total=-(-len(data.labels) // _BATCH),
        desc="mean colour",
        leave=False,
        shown=progress,
    )
    for _, images, _ in batches:
        pixels = images.numpy()
        total += pixels.sum(axis=(0, 1, 2), dtype=np.float64)
        count += pixels[..., 0].size
    return (total / max(count, 1)).astype(np.float32)


def class_counts(data: Examples) -> NDArray[np.int64]:
    """Count the examples of each class: [K] int64."""
    return np.bincount(data.labels, minlength=len(data.classes))


def adapt(layers: Iterable[BatchLayer], data: Examples, *, progress: bool = True) -> None:
    """Set the statistics of the data that the layers still need; each is computed at most once.

    Call it before the layers are used: a `tf.data` pipeline keeps the values it was built with.

    Args:
        layers: The augmentations.
        data: The training split.
        progress: Whether to show a progress bar on a terminal while images are read.
    """
    statistics: dict[str, Callable[[], Any]] = {
        "mean_colour": partial(mean_colour, data, progress=progress),
        "class_counts": partial(class_counts, data),
    }
    known: dict[str, Any] = {}
    for layer in layers:
        for name in layer.missing_statistics:
            if name not in known:
                known[name] = statistics[name]()
            layer.set_statistic(name, known[name])
