"""CueSource: the cues that a training run masks, given, loaded, or found while training."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np

from proxy_keras.cues.cues import Cues
from proxy_keras.cues.find import find_cues
from proxy_keras.data.train_split import TrainSplit
from proxy_keras.objects.object_masks import ObjectMasks, of_data
from proxy_keras.proxy.planted_cues import PlantedCues
from proxy_keras.settings import ProxyConfig
from proxy_keras.settings.proxy_config import OUTSIDE, PLANTED

NOT_SAVED = "(not saved)"
"""The setting `cues` for cues that have no folder."""


class CueSource:
    """The cues of a training run.

    Args:
        cues: Cues, the folder of some, "outside" to find them in the model being trained,
            "planted" for the planted shortcut, or None.
        data: The training split.
        config: The settings.
        objects: Where the object is in some training images, for "outside"; None: as the data say.
        batch_size: Images per batch.
        verbose: 1: progress bars; 0: none.

    Raises:
        FileNotFoundError: The folder does not exist.
        ValueError: The folder is damaged, nothing is ticked, the cues are for images of another
            size, no object is known, or no shortcut is planted.
    """

    def __init__(
        self,
        cues: Cues | str | Path | None,
        data: TrainSplit,
        config: ProxyConfig,
        objects: ObjectMasks | None,
        batch_size: int,
        verbose: int,
    ) -> None:
        self._data = data
        self._config = config
        self._batch_size = batch_size
        self._verbose = verbose
        self._given: Cues | PlantedCues | None = None
        self._objects: ObjectMasks | None = None
        if cues == OUTSIDE:
            self._objects = _some(data, objects or of_data(data), config.object_share)
        elif config.source_arm is not None:
            raise ValueError(
                "`cues='arm:NAME'` is for the arms of a study, see python -m tuner.study. Pass the "
                f"folder of ticked cues, outside or planted. Received: {cues!r}"
            )
        elif cues == PLANTED:
            self._given = PlantedCues(data)
        elif cues is not None:
            given = cues if isinstance(cues, Cues) else Cues.load(cues)
            given.check_ticked()
            self._check_size(given)
            self._given = given
        if objects is not None and cues != OUTSIDE:
            raise ValueError("`objects` needs `cues='outside'`; leave it out.")

    def find(self, model: keras.Model) -> Cues | PlantedCues:
        """Return the cues, with ticks; found in `model` if none were given."""
        return self.find_in(model) if self._given is None else self._given

    def find_in(self, model: keras.Model) -> Cues:
        """Return the cues of `model`, with those ticked that lie outside the known objects."""
        config = self._config
        cues = find_cues(
            model,
            self._data,
            target_layer=config.target_layer,
            objects=self._objects,
            batch_size=self._batch_size,
            seed=self._data.seed,
            verbose=self._verbose,
        )
        cues.tick_outside(config.cue_outside)
        return cues

    def _check_size(self, cues: Cues) -> None:
        side = self._data.image_size
        shape = cues.image_shape
        if any(have not in (None, want) for have, want in zip(shape, (side, side, 3), strict=True)):
            raise ValueError(
                f"The cues were found in images of {shape}. Received: training images of "
                f"{(side, side, 3)}. Use the same image size."
            )


def source_text(cues: Cues | str | Path | None) -> str | None:
    """Return the setting `cues` for cues, their folder, "outside" or "planted"."""
    if isinstance(cues, Cues):
        return str(cues.folder) if cues.folder is not None else NOT_SAVED
    return None if cues is None else str(cues)


def _some(data: TrainSplit, objects: ObjectMasks | None, share: float) -> ObjectMasks:
    """Return the known objects of a share of the training images, drawn by the seed."""
    if objects is None or len(objects) == 0:
        raise ValueError(
            "`cues='outside'` needs images whose object is known: boxes.csv or masks/ in the "
            "folder of the images, or `objects`. Received: none. Or tick cues by hand: python -m "
            "proxy_keras.cues"
        )
    rng = np.random.default_rng([data.seed, 7])
    kept = np.sort(rng.permutation(len(data))[: max(round(share * len(data)), 1)])
    some = objects.only(kept)
    if len(some) == 0:
        raise ValueError(
            f"`object_share` {share:g} leaves no image whose object is known. Use a larger share."
        )
    return some
