"""HeatmapFilter: the settings `agree` and `spare`, applied to the heatmaps of a step."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from proxy_keras.data.train_split import TrainSplit
from proxy_keras.heatmaps.eight_bit import dequantise
from proxy_keras.metrics.localisation import mass_inside
from proxy_keras.settings import ProxyConfig


class HeatmapFilter:
    """Filter that applies the settings `agree` and `spare` to heatmaps.

    Args:
        config: The settings.
        data: The training split.

    Raises:
        ValueError: `spare` is set, but the data has no object boxes.
    """

    def __init__(self, config: ProxyConfig, data: TrainSplit) -> None:
        if config.spare is not None and data.boxes is None:
            raise ValueError(
                "`spare` needs data with object boxes, such as `decoy_digits`. Received: "
                f"spare={config.spare}. Leave it out."
            )
        self._config = config
        self._data = data
        self._boxes = data.boxes or {}
        self.clear()

    def clear(self) -> None:
        """Forget the heatmaps of the previous step."""
        self._positions = np.zeros([0], np.int64)
        self._heatmaps = np.zeros([0, 1, 1], np.uint8)

    def __call__(
        self, positions: NDArray[np.int64], heatmaps: NDArray[np.uint8]
    ) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Return the filtered heatmaps, and which images to leave unchanged.

        Args:
            positions: [n] ascending, of the chosen images.
            heatmaps: [n, h, w] uint8, 255 represents 1.0.

        Returns:
            [n, h, w] uint8, and [n] bool: the images to leave unchanged.
        """
        left = np.zeros(len(positions), bool)
        if self._config.spare is not None and len(positions):
            left |= self._share_inside(positions, heatmaps) >= self._config.spare
        filtered = heatmaps
        if self._config.agree:
            filtered, is_new = self._agreed(positions, heatmaps)
            left |= is_new
            self._positions, self._heatmaps = positions.copy(), heatmaps.copy()
        return filtered, left

    def get_state(self) -> dict[str, NDArray[np.generic]]:
        """Return the heatmaps of the last step for a checkpoint; empty without `agree`."""
        if not self._config.agree:
            return {}
        return {"rules_positions": self._positions, "rules_heatmaps": self._heatmaps}

    def set_state(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Restore the state from `get_state`."""
        if self._config.agree:
            self._positions = np.asarray(arrays["rules_positions"], np.int64)
            self._heatmaps = np.asarray(arrays["rules_heatmaps"], np.uint8)

    def _agreed(
        self, positions: NDArray[np.int64], heatmaps: NDArray[np.uint8]
    ) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Return the minimum with the previous heatmaps, and which images had none."""
        is_known = np.isin(positions, self._positions)
        agreed = heatmaps.copy()
        previous = self._heatmaps[np.isin(self._positions, positions)]
        if len(previous):
            agreed[is_known] = np.minimum(heatmaps[is_known], previous)
        return agreed, ~is_known

    def _share_inside(
        self, positions: NDArray[np.int64], heatmaps: NDArray[np.uint8]
    ) -> NDArray[np.float64]:
        boxes = np.array([self._boxes[self._data.example_ids[p]] for p in positions])
        size = self._data.image_size
        return mass_inside(dequantise(heatmaps), boxes, size=(size, size))
