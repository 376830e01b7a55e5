"""EpochRecord: the predictions that a model makes for its training images while it trains."""

from __future__ import annotations

import copy

import numpy as np

from proxy_keras.attribution import Explainer
from proxy_keras.data.batch_feed import BatchFeed
from proxy_keras.data.train_split import TrainSplit
from proxy_keras.proxy.proxy_step import Predictions


class EpochRecord:
    """Predictions and heatmaps of an epoch, collected from its training steps.

    Args:
        data: The training split that the model trains on.
        explainer: Explains the model that trains.

    Raises:
        ValueError: The method or the model's head does not support recording.
    """

    def __init__(self, data: TrainSplit, explainer: Explainer) -> None:
        self._data = data
        self._recorder = explainer.train_step_recorder()
        self._map_shape = explainer.map_shape
        self._num_classes = explainer.num_classes
        self._is_wanted = True
        self._parts: list[tuple[np.ndarray, np.ndarray]] = []

    def attach(self) -> None:
        """Start recording the steps of the model's next `fit`.

        Raises:
            ValueError: `fit` was not given batches of the training split.
        """
        if not self._data.largest_batch:
            raise ValueError(
                "wrong_from='train' needs batches of ProxyAttention's own training split. Pass "
                "`data.train.batches(...)` to `fit`."
            )
        self._recorder.attach(min(self._data.largest_batch, len(self._data)))

    def detach(self) -> None:
        """Restore the model's own training step."""
        self._recorder.detach()

    def begin(self, is_wanted: bool) -> None:
        """Discard the previous epoch, and record the new one if it `is_wanted`."""
        self._parts = []
        self._is_wanted = is_wanted

    def add(self, feed: BatchFeed) -> None:
        """Record the step that has just ended.

        Args:
            feed: The feed of the data set that `fit` reads.

        Raises:
            ValueError: The augmentation of the batches cannot be undone.
        """
        if self._is_wanted:
            if not self._parts:
                feed.check_undoable()
                # Its log stays as it is if someone opens the data set again.
                self._feed = copy.copy(feed)
            positions = self._feed.positions[len(self._parts)]
            self._parts.append(self._recorder.read(len(positions)))

    def predictions(self) -> Predictions:
        """Return the predictions for all training images; heatmaps are aligned to the originals.

        Raises:
            RuntimeError: The epoch was not recorded completely.
            FloatingPointError: Training has diverged.
        """
        data = self._data
        recorded = sum(len(logits) for logits, _ in self._parts)
        if recorded != len(data):
            raise RuntimeError(
                f"wrong_from='train' needs a complete training epoch. Recorded: {recorded} of "
                f"{len(data)} images."
            )
        logits = np.empty([len(data), self._num_classes], np.float32)
        heatmaps = np.empty([len(data), *self._map_shape], np.uint8)
        for batch, (batch_logits, maps) in enumerate(self._parts):
            feed = self._feed
            logits[feed.positions[batch]] = batch_logits
            heatmaps[feed.positions[batch]] = feed.undo(maps, batch)
        broken = int((~np.isfinite(logits)).any(axis=1).sum())
        if broken:
            raise FloatingPointError(
                f"{broken} of {len(logits)} logits of the epoch's training steps are not finite."
            )
        return Predictions(logits, heatmaps)
