"""HeatmapFilter: which of the chosen images keep their heat, and so get a proxy."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from proxy_keras.data.train_split import TrainSubset
from proxy_keras.heatmaps.eight_bit import dequantise
from proxy_keras.metrics.localisation import mass_inside
from proxy_keras.settings import ProxyConfig


class HeatmapFilter:
    """Takes heat away by the settings `agree` and `spare`.

    Args:
        config: The settings.
        data: The training split.

    Raises:
        ValueError: `spare` is given, but the data do not say where the object is.
    """

    def __init__(self, config: ProxyConfig, data: TrainSubset) -> None:
        if config.spare is not None and data.boxes is None:
            raise ValueError(
                "`spare` needs data that say where the object is (boxes, as `decoy_digits` has). "
                f"Received: spare={config.spare}. Leave it out."
            )
        self._config = config
        self._data = data
        self._boxes = data.boxes or {}
        self.clear()

    def clear(self) -> None:
        """Forgets the heat of the step before."""
        self._positions = np.zeros([0], np.int64)
        self._heatmaps = np.zeros([0, 1, 1], np.uint8)

    def __call__(
        self, positions: NDArray[np.int64], heatmaps: NDArray[np.uint8]
    ) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """The heat that counts.

        Args:
            positions: [n] ascending: the chosen images.
            heatmaps: [n, h, w] uint8, 255 stands for 1.0.

        Returns:
            [n, h, w] uint8, and [n] which images are to be left as they are.
        """
        left = np.zeros(len(positions), bool)
        if self._config.spare is not None and len(positions):
            left |= self._share_inside(positions, heatmaps) >= self._config.spare
        counted = heatmaps
        if self._config.agree:
            counted, is_new = self._agreed(positions, heatmaps)
            left |= is_new
            self._positions, self._heatmaps = positions.copy(), heatmaps.copy()
        return counted, left

    def get_state(self) -> dict[str, NDArray[np.generic]]:
        """The heat of the last step as arrays, for a checkpoint; empty where none is kept."""
        if not self._config.agree:
            return {}
        return {"rules_positions": self._positions, "rules_heatmaps": self._heatmaps}

    def set_state(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Restores what `get_state` gave."""
        if self._config.agree:
            self._positions = np.asarray(arrays["rules_positions"], np.int64)
            self._heatmaps = np.asarray(arrays["rules_heatmaps"], np.uint8)

    def _agreed(
        self, positions: NDArray[np.int64], heatmaps: NDArray[np.uint8]
    ) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """The smaller of this heat and that of the step before, and which images had none then."""
        is_known = np.isin(positions, self._positions)
        counted = heatmaps.copy()
        before = self._heatmaps[np.isin(self._positions, positions)]
        if len(before):
            counted[is_known] = np.minimum(heatmaps[is_known], before)
        return counted, ~is_known

    def _share_inside(
        self, positions: NDArray[np.int64], heatmaps: NDArray[np.uint8]
    ) -> NDArray[np.float64]:
        boxes = np.array([self._boxes[self._data.example_ids[p]] for p in positions])
        size = self._data.image_size
        return mass_inside(dequantise(heatmaps), boxes, size=(size, size))
