"""Records of usable and skipped images, made before the split is drawn."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from proxy_keras.io.names import printable

TRAIN, VAL, TEST = "train", "val", "test"
SPLITS = (TRAIN, VAL, TEST)


@dataclass(frozen=True, slots=True)
class Record:
    """An image that can be read.

    Attributes:
        path: Path relative to the folder of the data, with "/"; or a generated, unique name such
            as "x_train/17".
        label: Name of its class.
        split: "train", "val" or "test" if given by the data, else None.
        content_hash: See `content_hash`.
        size_bytes: Size of the file or the array.
    """

    path: str
    label: str
    split: str | None
    content_hash: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Skipped:
    """An image or folder that is left out, with the reason.

    Attributes:
        path: See `Record.path`.
        reason: In a few words.
        label: Name of its class; None: it has none.
    """

    path: str
    reason: str
    label: str | None = None

    def __str__(self) -> str:
        return printable(f"{self.path} ({self.reason})")


def content_hash(image: NDArray[np.uint8]) -> str:
    """Return the SHA-256 of pixels and shape in hex, which does not depend on the file format.

    Args:
        image: [H, W, 3] uint8.
    """
    digest = hashlib.sha256(repr(image.shape).encode())
    digest.update(np.ascontiguousarray(image).data)
    return digest.hexdigest()
