"""ProxyStep: classifies the training images, selects some, explains them, stores heatmaps."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
from numpy.typing import NDArray

from proxy_keras.attribution import Explainer
from proxy_keras.attribution.target import ScoreFunction
from proxy_keras.data.train_split import TrainSplit
from proxy_keras.distribution import Team
from proxy_keras.heatmaps.eight_bit import quantise
from proxy_keras.io.progress import progress_bar
from proxy_keras.proxy import selection
from proxy_keras.proxy.heatmap_filter import HeatmapFilter
from proxy_keras.proxy.mask_maker import MaskMaker
from proxy_keras.proxy.step_log import StepLog, StepSummary
from proxy_keras.settings import ProxyConfig


class Predictions(NamedTuple):
    """Predictions of the model for every training image.

    Attributes:
        logits: [N, K] float32.
        heatmaps: [N, h, w] uint8, 255 represents 1.0, filled for this process's share only; None
            if only the logits are known.
    """

    logits: NDArray[np.float32]
    heatmaps: NDArray[np.uint8] | None


def make_explainer(
    model: keras.Model, config: ProxyConfig, explain: str | ScoreFunction | None = None
) -> Explainer:
    """Create the explainer that the settings ask for.

    Args:
        model: The classifier.
        config: The settings.
        explain: A function of logits that replaces `config.explain`; None: use the setting.

    Raises:
        ValueError: The model has no layer to explain, does not suit the method, or takes images of
            any size, so that its heatmaps have no fixed shape.
    """
    explainer = Explainer(
        model,
        config.method,
        explain=config.explain if explain is None else explain,
        target_layer=config.target_layer,
        engine=config.engine,
        smooth=config.smooth,
        **config.method_options,
    )
    # A step needs it, and would fail after an epoch.
    _ = explainer.map_shape
    return explainer


def explain_originals(
    data: TrainSplit,
    explainer: Explainer,
    positions: NDArray[np.int64],
    *,
    batch_size: int,
    desc: str,
    verbose: int = 0,
    team: Team | None = None,
) -> NDArray[np.uint8]:
    """Return the heatmaps of the originals at ascending positions [n].

    The heatmaps are [n, h, w] uint8, 255 represents 1.0. `desc` titles the progress bar.
    """
    team = Team() if team is None else team
    heatmaps = np.empty([len(positions), *explainer.map_shape], np.uint8)
    if len(positions) == 0:
        return heatmaps
    share = team.share(len(positions), batch_size)
    batches = _batches(data, positions[share], batch_size, desc, verbose)
    for batch_positions, images, labels in batches:
        rows = np.searchsorted(positions, batch_positions)
        heatmaps[rows] = quantise(explainer.heatmaps(images, labels))
    return team.merge_rows(heatmaps, share, np.arange(len(positions)))


def _batches(
    data: TrainSplit, positions: NDArray[np.int64], batch_size: int, desc: str, verbose: int
) -> Any:
    return progress_bar(
        data.originals(batch_size, positions).as_numpy_iterator(),
        total=-(-len(positions) // batch_size),
        desc=desc,
        leave=False,
        shown=bool(verbose),
    )


class ProxyStep:
    """Proxy step: makes proxies of a training split with one explainer.

    Args:
        data: The training split.
        config: The hyper-parameters.
        subset: Share in (0, 1] of the selected images, or a callable from the epoch to one.
        explainer: Explains its own copy of the model.
        batch_size: Images per batch.
        log: Records each step.
        verbose: 1: progress bars; 0: none.
        team: The processes that share the work; None: this process does it all.
        heatmap_filter: Filters the heatmaps of the selected images.
        recorded: Returns the model's predictions for the training images in the epoch that has
            just ended; None: predict at each step, on the originals.
    """

    def __init__(
        self,
        data: TrainSplit,
        config: ProxyConfig,
        subset: selection.Share,
        explainer: Explainer,
        *,
        batch_size: int,
        log: StepLog,
        verbose: int,
        heatmap_filter: HeatmapFilter,
        team: Team | None = None,
        recorded: Callable[[], Predictions] | None = None,
    ) -> None:
        self._data = data
        self._config = config
        self._subset = subset
        self._explainer = explainer
        self._batch_size = batch_size
        self._log = log
        self._verbose = verbose
        self._heatmap_filter = heatmap_filter
        self._team = Team() if team is None else team
        self._recorded = recorded
        self._mask_maker = MaskMaker(data, config.control, batch_size)

    def run(self, epoch: int) -> StepSummary:
        """Make proxies of the selected training images.

        Args:
            epoch: The epoch that has just ended, counted from 0; -1: before the first. Seeds the
                draw.

        Returns:
            A summary of the step.
        """
        start = time.perf_counter()
        data, config = self._data, self._config
        predictions = self._predict() if self._recorded is None else self._recorded()
        logits = predictions.logits
        chosen = selection.choose(
            config.select,
            self._subset,
            logits,
            data.labels,
            seed=data.seed,
            epoch=max(epoch, 0),
            is_multi_label=self._explainer.clone.is_multi_label,
        )
        if predictions.heatmaps is None:
            heatmaps = explain_originals(
                data,
                self._explainer,
                chosen,
                batch_size=self._batch_size,
                desc="proxy step, explain",
                verbose=self._verbose,
                team=self._team,
            )
        else:
            share = self._team.share(len(data), self._batch_size)
            heatmaps = self._team.merge_rows(predictions.heatmaps, share, chosen)
        heatmaps, is_left = self._heatmap_filter(chosen, heatmaps)
        is_blank = ~is_left & (heatmaps.max(axis=(1, 2), initial=0) == 0)
        is_used = ~is_left & ~is_blank
        masks = self._mask_maker.masks(
            chosen[is_used],
            heatmaps[is_used],
            epoch=epoch,
            threshold=config.threshold,
            max_area=config.max_area,
            is_cold=config.region == "cold",
        )
        if config.clear_every_step:
            data.store.clear()
        data.store.put(masks.positions, masks.heatmaps, masks.thresholds, epoch=epoch)
        data.update_donors()
        step = StepSummary(
            epoch=epoch,
            wrong=int(selection.is_wrong(logits, data.labels).sum()),
            chosen=len(chosen),
            blank=int(is_blank.sum()),
            left=int(is_left.sum()),
            made=len(masks.positions),
            replaced=float(masks.replaced.mean()) if len(masks.replaced) else 0.0,
            seconds=time.perf_counter() - start,
        )
        self._log.write(step, data, masks, np.argmax(logits, axis=1))
        return step

    def _predict(self) -> Predictions:
        """Return predictions for all originals, with heatmaps if one pass yields both."""
        explainer, data = self._explainer, self._data
        explainer.refresh()
        logits = np.empty([len(data), explainer.num_classes], np.float32)
        heatmaps = None
        if explainer.single_pass:
            heatmaps = np.empty([len(data), *explainer.map_shape], np.uint8)
        share = self._team.share(len(data), self._batch_size)
        for positions, images, labels in _batches(
            data, share, self._batch_size, "proxy step, classify", self._verbose
        ):
            if heatmaps is None:
                logits[positions] = explainer.logits(images)
            else:
                logits[positions], maps = explainer.logits_and_heatmaps(images, labels)
                heatmaps[positions] = quantise(maps)
        logits = self._team.merge_rows(logits, share, np.arange(len(data)))
        return Predictions(logits, heatmaps)
