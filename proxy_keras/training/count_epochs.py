"""CountEpochs: sets the epoch of the training split in runs without `ProxyAttention`."""

from __future__ import annotations

from typing import Any

import keras

from proxy_keras.data.train_split import TrainSplit


class CountEpochs(keras.callbacks.Callback):
    """Callback that sets the epoch that seeds shuffling and augmentation.

    Args:
        data: The training split.
        first: Offset added to the epochs, so that consecutive `fit` calls shuffle differently.
    """

    def __init__(self, data: TrainSplit, first: int = 0) -> None:
        super().__init__()
        self._data = data
        self._first = first

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Set the epoch."""
        self._data.clock.begin(self._first + epoch)
