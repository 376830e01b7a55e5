"""Record and Skipped: what is known of one image before the split is drawn."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TRAIN, VAL, TEST = "train", "val", "test"
SPLITS = (TRAIN, VAL, TEST)


@dataclass(frozen=True, slots=True)
class Record:
    """An image that can be read.

    Attributes:
        path: Where it is: relative to the data's folder, with "/"; or a made-up name, unique in
            the data set, such as "x_train/17".
        label: Name of its class.
        split: "train", "val" or "test" where the data says so, else None.
        content_hash: See `content_hash`.
        size_bytes: Size of the file, or of the array.
    """

    path: str
    label: str
    split: str | None
    content_hash: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Skipped:
    """An image that is left out, and why."""

    path: str
    reason: str


def content_hash(image: NDArray[np.uint8]) -> str:
    """SHA-256 of the pixels and the shape, in hex: the same for a picture saved in another format.

    Args:
        image: [H, W, 3] uint8.
    """
    digest = hashlib.sha256(repr(image.shape).encode())
    digest.update(np.ascontiguousarray(image).data)
    return digest.hexdigest()
