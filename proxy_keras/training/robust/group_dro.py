"""`group_dro`: training on the weighted losses of the groups."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from proxy_keras.data import ImageData
from proxy_keras.distribution import Team
from proxy_keras.robust.group_dro import GroupWeights
from proxy_keras.settings import TrainConfig
from proxy_keras.settings.robust import GroupDro
from proxy_keras.training.fit_input import FitInput, called_as
from proxy_keras.training.robust.known_groups import check_groups, check_groups_table
from proxy_keras.training.robust.method import RobustTraining
from proxy_keras.training.stored_features import StoredFeatures, make_input


class GroupDroTraining(RobustTraining[GroupDro]):
    """Group DRO. The weights of the groups start anew after a warm-up of the head.

    Args:
        method, config, data, folder, verbose: See `RobustTraining`.

    Raises:
        ValueError: The training images lack groups, or one of them.
    """

    def __init__(
        self,
        method: GroupDro,
        config: TrainConfig,
        data: ImageData,
        folder: Path,
        *,
        verbose: int,
    ) -> None:
        super().__init__(method, config, data, folder, verbose=verbose)
        check_groups(method.name, data.train)
        self._weights = GroupWeights(
            data.train.groups, step=method.step, adjustment=method.adjustment
        )
        self._initial = self._weights.get_state()

    @classmethod
    def check_source(cls, config: TrainConfig) -> None:
        """Check that a folder of images has a table of groups."""
        check_groups_table("group_dro", config)

    def make_input(self, model: keras.Model, config: TrainConfig, team: Team) -> FitInput:
        """Return images or stored features, with their groups."""
        return make_input(
            config,
            self._data,
            model,
            team,
            verbose=self._verbose,
            images=partial(_GroupedImages, self._weights),
            stored=partial(_GroupedFeatures, self._weights),
        )

    def begin(
        self, model: keras.Model, config: TrainConfig, fit_input: FitInput, *, verbose: int
    ) -> None:
        """Start with equal weights."""
        self._weights.set_state(self._initial)

    def get_state(self) -> dict[str, NDArray[np.generic]]:
        """Return the weights of the groups."""
        return self._weights.get_state()

    def set_state(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Restore the weights of the groups."""
        self._weights.set_state(arrays)

    def report(self) -> dict[str, Any]:
        """Return what `metrics.json` says, with the last weights of the groups."""
        names = self._data.train.groups.names
        weights = map(float, self._weights.weights)
        self.facts = {"weights": dict(zip(names, weights, strict=True))}
        return super().report()


class _GroupedImages(FitInput):
    also = ("groups",)

    def __init__(self, weights: GroupWeights, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._weights = weights

    @contextmanager
    def accepted_by(self, model: keras.Model) -> Iterator[None]:
        own: Callable[..., Any] = model.call

        def call(inputs: Any, training: Any = None, mask: Any = None) -> Any:
            images = inputs["images"] if isinstance(inputs, dict) else inputs
            return own(images, training=training)

        with _loss_of_groups(model, self._weights), called_as(model, call):
            yield


class _GroupedFeatures(StoredFeatures):
    also = ("groups",)

    def __init__(self, weights: GroupWeights, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._weights = weights

    @contextmanager
    def accepted_by(self, model: keras.Model) -> Iterator[None]:
        with _loss_of_groups(model, self._weights), super().accepted_by(model):
            yield


@contextmanager
def _loss_of_groups(model: keras.Model, weights: GroupWeights) -> Iterator[None]:
    """Train a model with the weighted losses of the groups; validate with its own loss."""
    own: Callable[..., Any] = model.compute_loss

    def compute_loss(x: Any, y: Any, y_pred: Any, *others: Any, **options: Any) -> Any:
        if not (isinstance(x, dict) and "groups" in x):
            return own(x, y, y_pred, *others, **options)
        losses = keras.losses.sparse_categorical_crossentropy(y, y_pred, from_logits=True)
        return weights.loss(tf.cast(losses, tf.float32), x["groups"])

    model.compute_loss = compute_loss
    try:
        yield
    finally:
        del model.compute_loss
