"""Shortcut: plants a corner patch that tells the class in training and nothing in test."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from proxy_keras.data.records import TRAIN, VAL
from proxy_keras.data.split_table import SplitTable

_SIDES_PER_IMAGE = 6
"""The patch's side is this part of the image's: seen by any network, in no object's way."""


class Shortcut:
    """Gives images a grey patch in the top left corner, whose level stands for a class.

    Level `255 * k / (K - 1)` stands for class k of K. In train and val it tells the true class of
    a share `rate` of the images, and one of the others for the rest; in test, any class with equal
    chance. A network that learns to look there does worse on test than one that does not. With many
    classes the levels lie close together, and the shortcut is harder to learn.

    What an image is given depends on (seed, example id) alone.

    Args:
        table: The examples with their class and split.
        rows: [N] int64, the reader's row of each example of the table.
        rate: Share of train and val images whose patch tells the truth, in [0, 1].
        seed: Another seed plants other levels.
        image_size: Side of the images in pixels.
        in_val: Whether val is treated as train; False: as test.

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
        """Copies of the images [B, P, P, 3] of these rows [B], with their patch."""
        planted = images.copy()
        planted[:, : self.side, : self.side] = self._levels[rows][:, None, None, None]
        return planted


def _shown_class(key: str, label: int, rate: float | None, num_classes: int) -> int:
    """The class that the patch stands for; any with equal chance where `rate` is None."""
    digest = hashlib.sha256(key.encode()).digest()
    chance = (int.from_bytes(digest[:8]) >> 11) / 2**53
    pick = int.from_bytes(digest[8:16])
    if rate is None:
        return pick % num_classes
    if chance < rate:
        return label
    return (label + 1 + pick % (num_classes - 1)) % num_classes
