"""Shortcut: a planted corner patch that reveals the class in training, but not in test."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from proxy_keras.data.records import TRAIN, VAL
from proxy_keras.data.split_table import SplitTable

_SIDES_PER_IMAGE = 6
"""Side of the image in sides of the patch: large enough to learn, too small to hide objects."""


class Shortcut:
    """A grey patch in the top left corner of images whose level encodes a class.

    Level `255 * k / (K - 1)` encodes class k of K. In train and val, it is the true class for a
    share `rate` of the images and another class for the rest; in test, it is a random class. A
    network that relies on the patch does worse on test than one that does not. With many classes
    the levels are similar, and the shortcut is harder to learn.

    The level of an image depends on (seed, example id) alone.

    Args:
        table: The examples with their class and split.
        rows: [N] int64, the reader's row of each example of the table.
        rate: Share of train and val images whose patch shows the true class, in [0, 1].
        seed: Keys the levels.
        image_size: Side of the images in pixels.
        in_val: Treat val like train; False: like test.

    Attributes:
        side: Side of the patch in pixels.
        box: The patch: x0, y0, x1, y1; x1 and y1 are exclusive.

    Raises:
        ValueError: `rate` is outside [0, 1].
    """

    def __init__(
        self,
        table: SplitTable,
        rows: NDArray[np.int64],
        *,
        rate: float,
        seed: int,
        image_size: int,
        in_val: bool = True,
    ) -> None:
        if not 0 <= rate <= 1:
            raise ValueError(f"`shortcut` must be in [0, 1]. Received: {rate}")
        self.side = max(2, round(image_size / _SIDES_PER_IMAGE))
        self.box = (0, 0, self.side, self.side)
        num_classes = len(table.classes)
        shown = np.array(
            [
                _shown_class(
                    f"{seed}:shortcut:{id_}",
                    int(label),
                    rate if split == TRAIN or (split == VAL and in_val) else None,
                    num_classes,
                )
                for id_, label, split in zip(
                    table.example_ids, table.class_ids, table.splits, strict=True
                )
            ]
        )
        self._levels = np.zeros(int(rows.max()) + 1, np.uint8)
        self._levels[rows] = np.rint(255 * shown / (num_classes - 1))

    def __call__(self, images: NDArray[np.uint8], rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return copies of the images [B, P, P, 3] of rows [B], with their patch."""
        planted = images.copy()
        planted[:, : self.side, : self.side] = self._levels[rows][:, None, None, None]
        return planted


def _shown_class(key: str, label: int, rate: float | None, num_classes: int) -> int:
    """Return the class that the patch shows; a random one if `rate` is None."""
    digest = hashlib.sha256(key.encode()).digest()
    chance = (int.from_bytes(digest[:8]) >> 11) / 2**53
    pick = int.from_bytes(digest[8:16])
    if rate is None:
        return pick % num_classes
    if chance < rate:
        return label
    return (label + 1 + pick % (num_classes - 1)) % num_classes
