"""AveragedStatistics: BatchNorm's moving statistics, the same on all replicas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras


class AveragedStatistics(keras.callbacks.Callback):
    """Averages BatchNorm's moving statistics over the replicas at the end of each epoch.

    Keras leaves each replica those of its own parts of the batches. What was validated, explained
    and saved would be another model on each of them. An average of moving averages is the moving
    average of the averages, so that once an epoch is as good as after each step.

    Comes first in the list of callbacks.

    Args:
        mean: Gives the mean of a variable over all replicas.
    """

    def __init__(self, mean: Callable[[keras.Variable], Any]) -> None:
        super().__init__()
        self._mean = mean
        self._are_new = False

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Notes that the statistics have moved."""
        self._are_new = True

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Averages before the epoch is validated."""
        self._average()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Averages where nothing was validated."""
        self._average()

    def _average(self) -> None:
        if not self._are_new:
            return
        self._are_new = False
        for layer in self.model._flatten_layers():
            if isinstance(layer, keras.layers.BatchNormalization):
                for statistic in (layer.moving_mean, layer.moving_variance):
                    statistic.assign(self._mean(statistic))
