"""CountEpochs: sets the epoch of the training split where no `ProxyAttention` does."""

from __future__ import annotations

from typing import Any

import keras

from proxy_keras.data.train_split import TrainSubset


class CountEpochs(keras.callbacks.Callback):
    """Sets the epoch that keys order and augmentation.

    Args:
        data: The training split.
        first: Added to the epochs, so that two trainings in a row need not share their order.
    """

    def __init__(self, data: TrainSubset, first: int = 0) -> None:
        super().__init__()
        self._data = data
        self._first = first

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Set the epoch."""
        self._data.clock.begin(self._first + epoch)
