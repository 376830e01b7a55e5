"""Where the object is in the training images of a run."""

from __future__ import annotations

from pathlib import Path

from proxy_keras.data import ImageData
from proxy_keras.objects.object_masks import ObjectMasks, find_object_masks
from proxy_keras.settings import TrainConfig


def known_objects(config: TrainConfig, data: ImageData, *, verbose: int = 1) -> ObjectMasks | None:
    """Return the objects in the training images, as files or the data have them; None: unknown."""
    folder = Path(config.data.source)
    root = folder if folder.is_dir() else None
    return find_object_masks(data, data.train, root, progress=bool(verbose))
