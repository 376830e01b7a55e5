"""`energy_loss`: a second loss that draws the heat into known objects."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import keras
import numpy as np

from proxy_keras.cues.object_cells import object_cells
from proxy_keras.data import ImageData
from proxy_keras.distribution import Team
from proxy_keras.models.frozen_split import split_after_maps
from proxy_keras.objects.object_masks import BOXES, MASKS
from proxy_keras.settings import TrainConfig
from proxy_keras.settings.robust import EnergyLoss
from proxy_keras.training.fit_input import FitInput
from proxy_keras.training.known_objects import known_objects
from proxy_keras.training.robust.guided_input import Guide, GuidedFeatures, GuidedImages
from proxy_keras.training.robust.method import RobustTraining
from proxy_keras.training.stored_features import make_input


class EnergyTraining(RobustTraining[EnergyLoss]):
    """Training with the energy loss, at the last feature maps of the network.

    Args:
        method, config, data, folder, verbose: See `RobustTraining`.

    Raises:
        ValueError: No object is known, or none in the share that is used.
    """

    def __init__(
        self,
        method: EnergyLoss,
        config: TrainConfig,
        data: ImageData,
        folder: Path,
        *,
        verbose: int,
    ) -> None:
        super().__init__(method, config, data, folder, verbose=verbose)
        objects = known_objects(config, data, verbose=verbose)
        if objects is None or len(objects) == 0:
            raise ValueError(_no_objects("none"))
        self._objects = objects.drawn(len(data.train), method.share, seed=data.train.seed)
        if len(self._objects) == 0:
            raise ValueError(
                f"`share` {method.share:g} of energy_loss leaves no image whose object is known. "
                "Use a larger share."
            )
        self.facts = {"known_objects": len(self._objects)}

    @classmethod
    def check_source(cls, config: TrainConfig) -> None:
        """Check that a folder of images has a file of objects."""
        root = Path(config.data.source)
        if root.is_dir() and not ((root / MASKS).is_dir() or (root / BOXES).is_file()):
            raise ValueError(_no_objects(str(root)))

    def check_model(self, model: keras.Model) -> None:
        """Check that the network has feature maps through which everything passes."""
        split_after_maps(model)

    def make_input(self, model: keras.Model, config: TrainConfig, team: Team) -> FitInput:
        """Return images or stored feature maps, with the objects in them."""
        guide = Guide(split_after_maps(model), self._method.weight)
        fit_input = make_input(
            config,
            self._data,
            model,
            team,
            verbose=self._verbose,
            images=partial(GuidedImages, guide),
            stored=partial(GuidedFeatures, guide),
            split=guide.split,
        )
        side, train = self._data.image_size, self._data.train
        cells = guide.split.body(np.zeros([1, side, side, 3], np.float32)).shape[1:3]
        train.maps.replace(object_cells(self._objects, np.arange(len(train)), tuple(cells))[0])
        return fit_input


def _no_objects(received: str) -> str:
    return (
        f"`robust` energy_loss needs images whose object is known: {BOXES} or {MASKS}/ in the "
        f"folder of the images. Received: {received}"
    )
