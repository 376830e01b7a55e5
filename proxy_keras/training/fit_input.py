"""What `fit` trains a network with: batches of images."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import keras

from proxy_keras.data import ImageData
from proxy_keras.distribution import Team
from proxy_keras.settings import TrainConfig
from proxy_keras.training.fitting import training_batches, validation_batches


class FitInput:
    """Images for `fit`; `StoredFeatures` stands in for it.

    Args:
        config: The settings.
        data: The images and their split.
        team: The devices that train.
        verbose: 0: silent.

    Attributes:
        seconds: Wall-clock time spent on storing features so far.
        cpu_seconds: CPU time spent on it.
    """

    seconds = 0.0
    cpu_seconds = 0.0

    def __init__(self, config: TrainConfig, data: ImageData, team: Team, *, verbose: int) -> None:
        self._shows_progress = bool(verbose)
        self._config = config
        self._data = data
        self._team = team

    def training(self) -> Any:
        """Return the training batches."""
        return training_batches(
            self._config, self._data.train, self._team, progress=self._shows_progress
        )

    def validation(self, *, with_groups: bool = False) -> Any:
        """Return the validation batches; `with_groups`, with groups [B] int32 for `ClassCounts`."""
        return validation_batches(self._config, self._data.val, self._team, with_groups=with_groups)

    def callbacks(self) -> list[keras.callbacks.Callback]:
        """Return the callbacks that follow `ProxyAttention`."""
        return []

    def accepted_by(self, model: keras.Model) -> AbstractContextManager[None]:
        """Return the context in which `fit` of the model takes these batches."""
        return nullcontext()
