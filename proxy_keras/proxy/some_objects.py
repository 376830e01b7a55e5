"""The known objects of some training images, and all that lies outside them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from proxy_keras.data.train_split import TrainSplit
from proxy_keras.objects.object_masks import ObjectMasks, of_data
from proxy_keras.proxy.planted_boxes import MOST_CELLS
from proxy_keras.settings import ProxyConfig


def some_objects(data: TrainSplit, objects: ObjectMasks | None, config: ProxyConfig) -> ObjectMasks:
    """Return the known objects of a share of the training images, drawn by the seed.

    Args:
        data: The training split.
        objects: Where the object is in some of its images; None: as the data say.
        config: The setting `object_share`.

    Raises:
        ValueError: No object is known.
    """
    known = objects or of_data(data)
    if known is None or len(known) == 0:
        raise ValueError(
            f"`cues={config.cues!r}` needs images whose object is known: boxes.csv or masks/ in "
            "the folder of the images, or `objects`. Received: none. Or tick cues by hand: python "
            "-m proxy_keras.cues"
        )
    some = known.drawn(len(data), config.object_share, seed=data.seed)
    if len(some) == 0:
        raise ValueError(
            f"`object_share` {config.object_share:g} leaves no image whose object is known. Use a "
            "larger share."
        )
    return some


def background_cells(data: TrainSplit, objects: ObjectMasks) -> NDArray[np.uint8]:
    """Return the cells outside the object in each training image.

    Args:
        data: The training split.
        objects: Where the object is in some of its images.

    Returns:
        [N, h, w] uint8: 255 in cells without a pixel of the object, 0 in all others, and in images
        whose object is not known.
    """
    side = min(objects.image_size, MOST_CELLS)
    cells = np.zeros([len(data), side, side], np.uint8)
    starts = np.ceil(np.arange(side) * objects.image_size / side).astype(np.int64)
    for position in objects.positions:
        (mask,) = objects.masks(np.array([position]))
        rows = np.logical_or.reduceat(mask, starts, axis=0)
        cells[position] = np.where(np.logical_or.reduceat(rows, starts, axis=1), 0, 255)
    return cells
