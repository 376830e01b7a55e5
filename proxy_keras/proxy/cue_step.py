"""CueStep: masks the ticked cues of the training images, and spreads or hides them."""

from __future__ import annotations

import time

import keras
import numpy as np
from numpy.typing import NDArray

from proxy_keras.data.train_split import TrainSplit
from proxy_keras.proxy.cue_masks import CueMasks
from proxy_keras.proxy.mask_maker import MaskMaker, Masks
from proxy_keras.proxy.step_log import StepLog, StepSummary
from proxy_keras.settings import ProxyConfig

MASK_THRESHOLD = 0.25
"""At this threshold, a masked cell enlarged bilinearly covers at least its own pixels."""


class CueStep:
    """A proxy step that masks ticked cues instead of what is hot.

    Args:
        data: The training split.
        config: The settings.
        masks: Where the masks come from.
        model: The model that is being trained.
        batch_size: Images per batch.
        log: Records each step.
    """

    def __init__(
        self,
        data: TrainSplit,
        config: ProxyConfig,
        masks: CueMasks,
        model: keras.Model,
        *,
        batch_size: int,
        log: StepLog,
    ) -> None:
        self._data = data
        self._config = config
        self._masks = masks
        self._model = model
        self._log = log
        self._mask_maker = MaskMaker(data, config.control, batch_size)

    def run(self, epoch: int) -> StepSummary:
        """Make proxies of the training images that show a ticked cue, or are to be given one.

        Args:
            epoch: The epoch that has just ended, counted from 0; -1: before the first.

        Returns:
            A summary of the step.
        """
        start = time.perf_counter()
        data, config = self._data, self._config
        cells, predicted = self._masks.read(self._model)
        has_cue = np.asarray(cells.any(axis=(1, 2)))
        with_cue = np.flatnonzero(has_cue)
        masks = self._mask_maker.masks(
            with_cue, cells[with_cue], epoch=epoch, threshold=MASK_THRESHOLD
        )
        if config.clear_every_step:
            data.store.clear()
        data.store.put(masks.positions, masks.heatmaps, masks.thresholds, epoch=epoch)
        if config.cue_action == "spread":
            self._put_without(has_cue, masks, epoch)
        data.update_donors()
        step = StepSummary(
            epoch=epoch,
            wrong=int((predicted != data.labels).sum()),
            chosen=len(data),
            blank=len(data) - len(data.store),
            made=len(data.store),
            replaced=float(masks.replaced.mean()) if len(masks.replaced) else 0.0,
            seconds=time.perf_counter() - start,
        )
        self._log.write(step, data, masks, predicted)
        return step

    def _put_without(self, has_cue: NDArray[np.bool_], masks: Masks, epoch: int) -> None:
        """Give images without the cue a blank proxy, on which only that of a donor is pasted."""
        data = self._data
        chances = chances_of_pasting(has_cue, data.labels, self._config.cue_rate)
        without = np.flatnonzero(~has_cue & (chances > 0))
        blank = np.zeros([len(without), *masks.heatmaps.shape[1:]], np.uint8)
        thresholds = np.full([len(without)], MASK_THRESHOLD, np.float32)
        data.store.put(without, blank, thresholds, epoch=epoch, chances=chances[without])


def chances_of_pasting(
    has_cue: NDArray[np.bool_], labels: NDArray[np.int32], rate: float | None
) -> NDArray[np.float32]:
    """Return how often a donor's cue is pasted on each image, so that all classes have it alike.

    Args:
        has_cue: [N] bool: the image shows a ticked cue.
        labels: [N] class ids.
        rate: Share of each class's images that show a cue, in (0, 1]; None: that of the class that
            has it most often. Classes above it stay as they are.

    Returns:
        [N] float32 in [0, 1]; 0 for images with a cue.
    """
    counts = np.bincount(labels)
    shares = np.bincount(labels, weights=has_cue) / np.maximum(counts, 1)
    target = shares.max() if rate is None else rate
    missing = np.divide(
        target - shares, 1.0 - shares, out=np.zeros_like(shares), where=shares < min(target, 1.0)
    )
    return np.where(has_cue, 0.0, missing[labels]).astype(np.float32)
