"""PlantedCues: the cells of a planted shortcut, known exactly."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from proxy_keras.data.train_split import TrainSplit

MOST_CELLS = 64
"""Cells per side of a mask, at most; smaller images have one cell per pixel."""


class PlantedCues:
    """Where a planted shortcut is in the training images: what no one knows of real images.

    Training without it is an upper bound for cues that are found and ticked.

    Args:
        data: The training split.

    Raises:
        ValueError: Nothing was planted in the data.
    """

    def __init__(self, data: TrainSplit) -> None:
        if data.planted is None:
            raise ValueError(
                "`cues='planted'` needs a planted shortcut: `decoy_digits`, or the patch of "
                "`shortcut`. Received: data without one. Use the folder of ticked cues."
            )
        self._boxes = [data.planted[example_id] for example_id in data.example_ids]
        self._image_size = data.image_size

    def cells(self) -> NDArray[np.uint8]:
        """Return the cells that the shortcut touches in each image.

        Returns:
            [N, h, w] uint8, 255 where it does, 0 elsewhere.
        """
        side = min(self._image_size, MOST_CELLS)
        cells = np.zeros([len(self._boxes), side, side], np.uint8)
        for image, boxes in zip(cells, self._boxes, strict=True):
            for x0, y0, x1, y1 in np.asarray(boxes) * side / self._image_size:
                rows = slice(int(np.floor(y0)), int(np.ceil(y1)))
                image[rows, int(np.floor(x0)) : int(np.ceil(x1))] = 255
        return cells
