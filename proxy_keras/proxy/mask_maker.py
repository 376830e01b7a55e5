"""MaskMaker: which pixels are replaced in each image, by heatmap or by control."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from proxy_keras.augment.attenuation import area_thresholds, replaced_share
from proxy_keras.data.train_split import TrainSplit
from proxy_keras.heatmaps.eight_bit import dequantise
from proxy_keras.heatmaps.scaling import enlarge
from proxy_keras.proxy import controls

_SQUARES = {"erasing": controls.square_masks, "central_square": controls.frame_masks}


class Masks(NamedTuple):
    """Heatmaps and thresholds that define the pixels to replace.

    Attributes:
        positions: [n] int64, ascending positions in the training split.
        heatmaps: [n, h, w] uint8, 255 represents 1.0.
        thresholds: [n] float32.
        replaced: [n] float32, share of pixels replaced in each image.
    """

    positions: NDArray[np.int64]
    heatmaps: NDArray[np.uint8]
    thresholds: NDArray[np.float32]
    replaced: NDArray[np.float32]


class MaskMaker:
    """Makes masks from heatmaps, or the masks of a control.

    Args:
        data: The training split.
        control: "random_mask", "permuted_mask", "erasing", "central_square", or another value for
            the heatmaps' own masks.
        batch_size: Images per batch.
    """

    def __init__(self, data: TrainSplit, control: str | None, batch_size: int) -> None:
        self._data = data
        self._control = control
        self._batch_size = batch_size

    def masks(
        self,
        positions: NDArray[np.int64],
        heatmaps: NDArray[np.uint8],
        *,
        epoch: int,
        threshold: float,
        max_area: float | None = None,
        is_cold: bool = False,
    ) -> Masks:
        """Return what to replace in the images at `positions`.

        Args:
            positions: [n] ascending positions in the training split.
            heatmaps: [n, h, w] uint8, 255 represents 1.0.
            epoch: The epoch that has just ended; with the seed, keys the draws.
            threshold: Heat at or above which pixels are replaced, in [0, 1].
            max_area: Largest share of the pixels to replace; None: no limit.
            is_cold: Replace cold pixels instead of hot ones.
        """
        seed, epoch = self._data.seed, max(epoch, 0)
        if is_cold:
            heatmaps = 255 - heatmaps
        thresholds, replaced = self._thresholds(heatmaps, threshold, max_area)
        if self._control == "random_mask":
            heatmaps, donors = controls.random_masks(heatmaps, seed=seed, epoch=epoch)
            # A map shifted to a border covers a different area: cap it at its original area.
            thresholds, replaced = self._thresholds(heatmaps, 0.0, replaced[donors])
        if self._control == "permuted_mask":
            donors = controls.mask_donors(len(positions), seed=seed, epoch=epoch)
            heatmaps, thresholds = heatmaps[donors], thresholds[donors]
            replaced = replaced[donors]
        if self._control in _SQUARES and len(positions):
            area = float(replaced.mean())
            heatmaps = _SQUARES[self._control](len(positions), area=area, seed=seed, epoch=epoch)
            thresholds, replaced = self._thresholds(heatmaps, 0.5, None)
        return Masks(positions, heatmaps, thresholds, replaced)

    def _thresholds(
        self,
        heatmaps: NDArray[np.uint8],
        threshold: float,
        max_area: float | NDArray[np.float32] | None,
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the threshold [n] of each map, and the share [n] of pixels it replaces."""
        size = (self._data.image_size, self._data.image_size)
        thresholds = np.empty([len(heatmaps)], np.float32)
        shares = np.empty([len(heatmaps)], np.float32)
        # On the CPU like the pipeline, so that both compare identical values.
        with tf.device("CPU:0"):
            for start in range(0, len(heatmaps), self._batch_size):
                part = slice(start, start + self._batch_size)
                cap = max_area[part] if isinstance(max_area, np.ndarray) else max_area
                enlarged = enlarge(tf.constant(dequantise(heatmaps[part])), size)
                thresholds[part] = area_thresholds(enlarged, threshold=threshold, max_area=cap)
                shares[part] = replaced_share(enlarged, tf.constant(thresholds[part]))
        return thresholds, shares
