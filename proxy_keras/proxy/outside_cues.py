"""OutsideCues: cues of a model that lie outside the object, by the objects of some images."""

from __future__ import annotations

import keras

from proxy_keras.cues.cues import Cues
from proxy_keras.cues.find import find_cues
from proxy_keras.data.train_split import TrainSplit
from proxy_keras.objects.object_masks import ObjectMasks
from proxy_keras.proxy.some_objects import some_objects
from proxy_keras.settings import ProxyConfig


class OutsideCues:
    """Finds the cues of a model in the training images, and ticks those outside the object.

    Args:
        data: The training split.
        config: The settings `cue_outside`, `object_share` and `target_layer`.
        objects: Where the object is in some training images; None: as the data say.
        batch_size: Images per batch.
        verbose: 1: progress bars; 0: none.

    Raises:
        ValueError: No object is known.
    """

    def __init__(
        self,
        data: TrainSplit,
        config: ProxyConfig,
        objects: ObjectMasks | None,
        *,
        batch_size: int,
        verbose: int,
    ) -> None:
        self._data = data
        self._config = config
        self._objects = some_objects(data, objects, config)
        self._batch_size = batch_size
        self._verbose = verbose

    def find(self, model: keras.Model) -> Cues:
        """Return the cues of `model`, with ticks; there can be none.

        Raises:
            ValueError: The model has no layer whose cells can be told apart, or too few objects
                are known.
        """
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
