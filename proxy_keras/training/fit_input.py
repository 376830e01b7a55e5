"""What `fit` trains a network with: batches of images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from proxy_keras.data import ImageData
from proxy_keras.data.data_split import DataSplit
from proxy_keras.distribution import Team
from proxy_keras.metrics.classification import predict_logits
from proxy_keras.models.frozen_split import split_frozen
from proxy_keras.settings import TrainConfig
from proxy_keras.training.feature_pass import collect, compiled
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
        weights: [N] float32, of the training examples in the loss; None: all count the same. Read
            by `training`.
        also: What else the training batches have, see `TrainSplit.batches`. Read by `training`.
    """

    seconds = 0.0
    cpu_seconds = 0.0
    weights: NDArray[np.float32] | None = None
    also: tuple[str, ...] = ()

    def __init__(self, config: TrainConfig, data: ImageData, team: Team, *, verbose: int) -> None:
        self._shows_progress = bool(verbose)
        self._config = config
        self._data = data
        self._team = team

    def training(self) -> Any:
        """Return the training batches."""
        return training_batches(
            self._config,
            self._data.train,
            self._team,
            weights=self.weights,
            also=self.also,
            progress=self._shows_progress,
        )

    def validation(self, *, with_groups: bool = False) -> Any:
        """Return the validation batches; `with_groups`, as `ValidationCounts` takes them."""
        return validation_batches(self._config, self._data.val, self._team, with_groups=with_groups)

    def callbacks(self) -> list[keras.callbacks.Callback]:
        """Return the callbacks that follow `ProxyAttention`."""
        return []

    def accepted_by(self, model: keras.Model) -> AbstractContextManager[None]:
        """Return the context in which `fit` of the model takes these batches."""
        return nullcontext()

    def logits(self, model: keras.Model, split: DataSplit) -> NDArray[np.float32]:
        """Return the logits of the originals of a split, [N, K].

        Args:
            model: The network.
            split: One of the splits.
        """
        return predict_logits(
            model, split, int(self._config.batch_size), progress=self._shows_progress
        )

    def last_features(self, model: keras.Model, split: DataSplit) -> NDArray[np.float32]:
        """Return the inputs of the model's last layer for the originals of a split: [N, D].

        Args:
            model: The network.
            split: The training or the validation split.

        Raises:
            ValueError: The last layer is unknown, or something bypasses it.
        """
        batch_size = int(self._config.batch_size)
        return collect(
            compiled(split_frozen(model).body, [split.image_size, split.image_size, 3]),
            np.arange(len(split)),
            split.originals(batch_size),
            batch_size=batch_size,
            name=split.name,
            progress=self._shows_progress,
        )


@contextmanager
def called_as(model: keras.Model, call: Callable[..., Any]) -> Iterator[None]:
    """Make a model compute its outputs by another function, which may take other inputs."""
    model.call = call
    # Keras would compare the shapes of the inputs with that of an image.
    model._assert_input_compatibility = lambda *inputs: None
    try:
        yield
    finally:
        del model.call, model._assert_input_compatibility
        model.train_function = model.test_function = None
