"""Methods that refit the last layer after training."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import TypeVar

import keras
import numpy as np
from numpy.typing import NDArray

from proxy_keras.data import ImageData
from proxy_keras.data.data_split import DataSplit
from proxy_keras.models.last_layer import last_dense, set_last_layer
from proxy_keras.robust.class_balanced import class_balanced
from proxy_keras.robust.dfr import dfr
from proxy_keras.robust.linear_fit import LinearClassifier
from proxy_keras.settings import TrainConfig
from proxy_keras.settings.robust import ClassBalanced, DeepFeatureReweighting, LastLayerMethod
from proxy_keras.training.fit_input import FitInput
from proxy_keras.training.robust.known_groups import check_groups, check_groups_table
from proxy_keras.training.robust.method import RobustTraining

M = TypeVar("M", bound=LastLayerMethod)


class LastLayerRefit(RobustTraining[M]):
    """Base class: the rest of the network stays as it was trained."""

    changes_last_epoch = True

    def check_model(self, model: keras.Model) -> None:
        """Check that the network has a last layer that can be refitted."""
        last_dense(model)

    def finish(
        self, model: keras.Model, config: TrainConfig, fit_input: FitInput, *, verbose: int
    ) -> None:
        """Refit the last layer."""
        with self._timed():
            split = self._split()
            refitted = self._refitted(fit_input.last_features(model, split), split.labels)
            set_last_layer(model, refitted.kernel, refitted.bias)
        self.facts |= {"images": len(split), "is_converged": refitted.is_converged}

    def _split(self) -> DataSplit:
        """Return the images that the layer is refitted on."""
        return self._data.val if self._method.data == "val" else self._data.train

    @abstractmethod
    def _refitted(
        self, features: NDArray[np.float32], labels: NDArray[np.int32]
    ) -> LinearClassifier:
        """Return the new layer for the features [N, D] and labels [N] of these images."""


class ClassBalancedTraining(LastLayerRefit[ClassBalanced]):
    """`class_balanced`: all classes count the same."""

    def _refitted(
        self, features: NDArray[np.float32], labels: NDArray[np.int32]
    ) -> LinearClassifier:
        return class_balanced(
            features, labels, num_classes=self._data.num_classes, l2=self._method.l2
        )


class DfrTraining(LastLayerRefit[DeepFeatureReweighting]):
    """`dfr`: all groups count the same.

    Args:
        method, config, data, folder, verbose: See `RobustTraining`.

    Raises:
        ValueError: The data lack groups, or the images to refit on lack one of them.
    """

    def __init__(
        self,
        method: DeepFeatureReweighting,
        config: TrainConfig,
        data: ImageData,
        folder: Path,
        *,
        verbose: int,
    ) -> None:
        super().__init__(method, config, data, folder, verbose=verbose)
        self._seed = config.seed
        check_groups(method.name, self._split())

    @classmethod
    def check_source(cls, config: TrainConfig) -> None:
        """Check that a folder of images has a table of groups."""
        check_groups_table("dfr", config)

    def _refitted(
        self, features: NDArray[np.float32], labels: NDArray[np.int32]
    ) -> LinearClassifier:
        layer, c = dfr(
            features,
            labels,
            self._split().groups,
            num_classes=self._data.num_classes,
            draws=self._method.draws,
            c=self._method.c,
            seed=self._seed,
        )
        self.facts["c"] = c
        return layer
