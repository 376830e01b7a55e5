"""EpochRecord: what a model said of its training images while it was trained on them."""

from __future__ import annotations

import numpy as np

from proxy_keras.attribution import Explainer
from proxy_keras.data.train_split import TrainSubset
from proxy_keras.proxy.proxy_step import Predictions


class EpochRecord:
    """Collects an epoch's predictions, step by step, from the training steps themselves.

    Args:
        data: The training split whose batches are trained on.
        explainer: Says how to explain; its model is the one that is trained.

    Raises:
        ValueError: The method, or the model's head, does not allow it; the message says why.
    """

    def __init__(self, data: TrainSubset, explainer: Explainer) -> None:
        self._data = data
        self._recorder = explainer.train_step_recorder()
        self._map_shape = explainer.map_shape
        self._num_classes = explainer.num_classes
        self._is_wanted = True
        self._parts: list[tuple[np.ndarray, np.ndarray]] = []

    def attach(self) -> None:
        """Lets the model's next `fit` record its steps.

        Raises:
            ValueError: `fit` was not given batches of the training split.
        """
        if not self._data.largest_batch:
            raise ValueError(
                "wrong_from='train' needs the batches of the split that ProxyAttention has. Give "
                "`fit` the result of `data.train.batches(...)`."
            )
        self._recorder.attach(min(self._data.largest_batch, len(self._data)))

    def detach(self) -> None:
        """Gives the model its own training step back."""
        self._recorder.detach()

    def begin(self, is_wanted: bool) -> None:
        """Forgets the epoch before; the new one is recorded if it `is_wanted`."""
        self._parts = []
        self._is_wanted = is_wanted

    def add(self) -> None:
        """Record the step that has just ended.

        Raises:
            ValueError: The augmentation of the batches cannot be undone.
        """
        if self._is_wanted:
            feed = self._data.clock.feeds[-1]
            feed.check_undoable()
            self._parts.append(self._recorder.read(len(feed.positions[len(self._parts)])))

    def predictions(self) -> Predictions:
        """The predictions to all training images; heatmaps in the geometry of the originals.

        Raises:
            RuntimeError: The epoch was not recorded to its end.
            FloatingPointError: The training has diverged.
        """
        data = self._data
        recorded = sum(len(logits) for logits, _ in self._parts)
        if recorded != len(data):
            raise RuntimeError(
                f"With wrong_from='train' a step needs a whole epoch of training. Recorded: "
                f"{recorded} of {len(data)} images."
            )
        logits = np.empty([len(data), self._num_classes], np.float32)
        heatmaps = np.empty([len(data), *self._map_shape], np.uint8)
        for batch, (said, maps) in enumerate(self._parts):
            feed = data.clock.feeds[-1]
            logits[feed.positions[batch]] = said
            heatmaps[feed.positions[batch]] = feed.undo(maps, batch)
        broken = int((~np.isfinite(logits)).any(axis=1).sum())
        if broken:
            raise FloatingPointError(
                f"{broken} of {len(logits)} logits of the epoch's training steps are not finite."
            )
        return Predictions(logits, heatmaps)
