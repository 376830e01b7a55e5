"""Synchronisation of BatchNorm's moving statistics across replicas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras


class BatchNormSync(keras.callbacks.Callback):
    """A callback that averages BatchNorm's moving statistics over replicas after each epoch.

    In Keras each replica has the statistics of its own parts of the batches, so each would
    validate, explain and save a different model. The average of moving averages is the moving
    average of the averages, so once per epoch is as good as after each step.

    Must be the first callback.

    Args:
        mean: Returns the mean of a variable over all replicas.
    """

    def __init__(self, mean: Callable[[keras.Variable], Any]) -> None:
        super().__init__()
        self._mean = mean
        self._has_changed = False

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Record that the statistics have changed."""
        self._has_changed = True

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Average before validation."""
        self._average()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Average after epochs without validation."""
        self._average()

    def _average(self) -> None:
        if not self._has_changed:
            return
        self._has_changed = False
        for layer in self.model._flatten_layers():
            if isinstance(layer, keras.layers.BatchNormalization):
                for statistic in (layer.moving_mean, layer.moving_variance):
                    statistic.assign(self._mean(statistic))
