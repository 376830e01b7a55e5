"""CueStep: masks the ticked cues of the training images, and spreads or hides them."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from proxy_keras.cues.cues import Cues
from proxy_keras.data.train_split import TrainSplit
from proxy_keras.distribution import Team
from proxy_keras.io.progress import progress_bar
from proxy_keras.proxy.mask_maker import MaskMaker, Masks
from proxy_keras.proxy.planted_cues import PlantedCues
from proxy_keras.proxy.step_log import StepLog, StepSummary
from proxy_keras.settings import ProxyConfig

MASK_THRESHOLD = 0.25
"""At this threshold, a masked cell enlarged bilinearly covers at least its own pixels."""


class CueStep:
    """A proxy step that masks ticked cues instead of what is hot.

    Masks come from the network that the cues were found in, so fixed cues need one pass over the
    training images in all, and each further step repeats the same masks.

    Args:
        data: The training split.
        config: The settings.
        find: Returns the cues to use at a step.
        is_fixed: Whether they are the same at every step.
        batch_size: Images per batch.
        log: Records each step.
        verbose: 1: progress bars; 0: none.
        team: The processes that share the work; None: this process does it all.
    """

    def __init__(
        self,
        data: TrainSplit,
        config: ProxyConfig,
        find: Callable[[], Cues | PlantedCues],
        *,
        is_fixed: bool,
        batch_size: int,
        log: StepLog,
        verbose: int,
        team: Team | None = None,
    ) -> None:
        self._data = data
        self._config = config
        self._find = find
        self._is_fixed = is_fixed
        self._batch_size = batch_size
        self._log = log
        self._verbose = verbose
        self._team = Team() if team is None else team
        self._mask_maker = MaskMaker(data, config.control, batch_size)
        self._known: tuple[NDArray[np.uint8], NDArray[np.int64]] | None = None

    def run(self, epoch: int) -> StepSummary:
        """Make proxies of the training images that show a ticked cue, or are to be given one.

        Args:
            epoch: The epoch that has just ended, counted from 0; -1: before the first.

        Returns:
            A summary of the step.
        """
        start = time.perf_counter()
        data, config = self._data, self._config
        if self._known is None or not self._is_fixed:
            cues = self._find()
            # No network is asked where the shortcut is planted: no image counts as wrong.
            self._known = (
                (cues.cells(), data.labels.astype(np.int64))
                if isinstance(cues, PlantedCues)
                else self._cells(cues)
            )
        cells, predicted = self._known
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

    def _cells(self, cues: Cues) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Return the masked cells of all training images, and their predicted classes.

        The cells are [N, h, w] uint8, 255 where masked; the classes [N] int64.
        """
        data = self._data
        positions = np.arange(len(data))
        share = self._team.share(len(data), self._batch_size)
        cells = np.zeros([len(data), *cues.images.clusters.shape[1:]], np.uint8)
        predicted = np.zeros([len(data)], np.float32)
        batches = progress_bar(
            data.originals(self._batch_size, positions[share]).as_numpy_iterator(),
            total=-(-len(share) // self._batch_size),
            desc="proxy step, cues",
            leave=False,
            shown=bool(self._verbose),
        )
        for places, images, _ in batches:
            found = cues.cells(images)
            cells[places] = 255 * cues.mask_of(found)
            predicted[places] = found.logits.argmax(axis=1)
        merged = self._team.merge_rows(cells, share, positions)
        return merged, self._team.merge_rows(predicted, share, positions).astype(np.int64)


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
