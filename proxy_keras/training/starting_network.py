"""The network that a run starts from: a new one by name, or a saved classifier."""

from __future__ import annotations

import dataclasses

import keras

from proxy_keras.data import ImageData
from proxy_keras.distribution import Team
from proxy_keras.models import build_model
from proxy_keras.models.saved_network import SavedNetwork, open_network
from proxy_keras.settings import TrainConfig
from proxy_keras.training.precision import resolve_precision


class StartingNetwork:
    """The network that a run starts from. A file is opened at once, before data are read.

    Args:
        config: The settings.
        team: The devices that train.

    Attributes:
        config: The settings, with the precision resolved, and the image size of a file.

    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: It cannot be trained further, or does not fit the settings.
    """

    def __init__(self, config: TrainConfig, team: Team) -> None:
        self._team = team
        self._saved: SavedNetwork | None = None
        if config.model_file is None:
            precision = resolve_precision(config.precision)
            self.config = dataclasses.replace(config, precision=precision)
            return
        with team.scope():
            self._saved = open_network(config.model_file)
        self._saved.check_precision(config.precision)
        side = self._saved.image_size(config.data.image_size)
        self.config = dataclasses.replace(
            config,
            precision=self._saved.precision,
            data=dataclasses.replace(config.data, image_size=side),
        )

    def model(self, data: ImageData, *, weights: str, verbose: int) -> keras.Model:
        """Return the network for the data.

        Args:
            data: The images.
            weights: Initial weights of a new network, see `build_model`.
            verbose: 0: silent.

        Raises:
            ValueError, OSError: The data have other classes than the file, or see `build_model`.
        """
        if self._saved is not None:
            self._saved.check_classes(data.classes)
            return self._saved.model
        with self._team.scope():
            return build_model(
                self.config.model,
                num_classes=data.num_classes,
                image_size=data.image_size,
                weights=weights,
                verbose=verbose,
            )
