"""The cells of a planted shortcut, known exactly."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from proxy_keras.data.train_split import TrainSplit

MOST_CELLS = 64
"""Cells per side of a mask, at most; smaller images have one cell per pixel."""


def planted_cells(data: TrainSplit) -> NDArray[np.uint8]:
    """Return the cells that a planted shortcut touches in each training image.

    Args:
        data: The training split.

    Returns:
        [N, h, w] uint8, 255 where it does, 0 elsewhere.

    Raises:
        ValueError: Nothing was planted in the data.
    """
    if data.planted is None:
        raise ValueError(
            "`cues='planted'` needs a planted shortcut: `decoy_digits`, or the patch of "
            "`shortcut`. Received: data without one. Use the folder of ticked cues."
        )
    side = min(data.image_size, MOST_CELLS)
    cells = np.zeros([len(data), side, side], np.uint8)
    for image, example_id in zip(cells, data.example_ids, strict=True):
        for x0, y0, x1, y1 in np.asarray(data.planted[example_id]) * side / data.image_size:
            rows = slice(int(np.floor(y0)), int(np.ceil(y1)))
            image[rows, int(np.floor(x0)) : int(np.ceil(x1))] = 255
    return cells
