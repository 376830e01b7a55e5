"""MapStore: a heatmap of every training image, for augmentations that use heatmaps."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from proxy_keras.heatmaps.eight_bit import dequantise


class MapStore:
    """Heatmaps of all training images by position, blank at first.

    They are kept in 8 bits at their own resolution, n * h * w bytes: 7 x 7 cells of the 1.28
    million images of ImageNet take 63 MB. If maps are replaced during a look-up, the maps of a
    batch are all old or all new.

    Args:
        count: Number of images, n.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self.clear()

    @property
    def heatmaps(self) -> NDArray[np.uint8]:
        """[n, h, w], 255 stands for 1.0; [n, 1, 1] zeros without maps. Read only."""
        return self._heatmaps

    @property
    def is_blank(self) -> bool:
        """Whether there are no maps."""
        return self._heatmaps.shape[1:] == (1, 1)

    def clear(self) -> None:
        """Remove all maps."""
        self._heatmaps = np.zeros([self._count, 1, 1], np.uint8)

    def replace(self, heatmaps: NDArray[np.uint8]) -> None:
        """Replace all maps.

        Args:
            heatmaps: [n, h, w], 255 stands for 1.0.

        Raises:
            ValueError: The shape or dtype is wrong.
        """
        if heatmaps.ndim != 3 or len(heatmaps) != self._count or heatmaps.dtype != np.uint8:
            raise ValueError(
                f"`heatmaps` must be [{self._count}, h, w] uint8, one per training image. "
                f"Received: {heatmaps.shape} {heatmaps.dtype}"
            )
        self._heatmaps = heatmaps

    def look_up(self, positions: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the maps of the images at positions [B]: [B, h, w] float32 in [0, 1]."""
        return dequantise(self._heatmaps[positions])

    def get_state(self) -> dict[str, NDArray[np.generic]]:
        """Return the maps as an array for a checkpoint; empty without maps."""
        return {} if self.is_blank else {"heatmaps": self._heatmaps}

    def set_state(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Restore what `get_state` returned.

        Raises:
            ValueError: The number of images differs.
        """
        if arrays:
            self.replace(np.asarray(arrays["heatmaps"], np.uint8))
        else:
            self.clear()
