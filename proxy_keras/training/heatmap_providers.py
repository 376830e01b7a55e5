"""Callbacks that provide heatmaps for augmentations: of the trained model or of a teacher."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from proxy_keras.attribution import Explainer
from proxy_keras.data.train_split import TrainSplit
from proxy_keras.distribution import Team
from proxy_keras.io.saved_model import open_saved
from proxy_keras.proxy.proxy_step import explain_originals
from proxy_keras.settings.heatmap_source import refresh_every

METHOD = "grad_cam"


class _HeatmapProvider(keras.callbacks.Callback):
    def __init__(self, data: TrainSplit, **options: Any) -> None:
        super().__init__()
        self._data = data
        self._options = options

    def get_state(self) -> dict[str, NDArray[np.generic]]:
        """Return the maps as an array, for a checkpoint between epochs."""
        return self._data.maps.get_state()

    def set_state(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Restore the state from `get_state`."""
        self._data.maps.set_state(arrays)

    def _explain_all(self, explainer: Explainer) -> None:
        positions = np.arange(len(self._data))
        desc = "heatmaps for augmentation"
        self._data.maps.replace(
            explain_originals(self._data, explainer, positions, desc=desc, **self._options)
        )


class RefreshMaps(_HeatmapProvider):
    """Callback that gives augmentations heatmaps of the model being trained.

    At the end of every n-th epoch except the last, all original training images are explained, and
    from the next epoch on `data.batches` passes the maps to the augmentation. The maps are blank
    until the first refresh: augmentations document what they do then, usually a random choice.

    ```python
    maps = proxy_keras.training.heatmap_providers.RefreshMaps(data.train, every=3)
    batches = data.train.batches(64, one_hot=True, augment=augment.get("saliencymix"))
    model.fit(batches, epochs=20, callbacks=[maps])
    ```

    Args:
        data: The training split whose `batches` are passed to `fit`.
        every: n, >= 1.
        method: A name from `attribution.names()`.
        explain: The class to explain: "true" or "predicted".
        target_layer: See `Explainer`.
        method_options: Options of the method, by name.
        batch_size: Images per batch, >= 1.
        verbose: 1: a progress bar.
        team: The processes that share the work; None: this process does it all.

    Raises:
        ValueError: `every` or `batch_size` is below 1 (at once), or the model cannot be explained
            (when training begins).
    """

    def __init__(
        self,
        data: TrainSplit,
        every: int = 3,
        *,
        method: str = METHOD,
        explain: str = "true",
        target_layer: str | None = None,
        method_options: Mapping[str, Any] | None = None,
        batch_size: int = 64,
        verbose: int = 0,
        team: Team | None = None,
    ) -> None:
        super().__init__(data, batch_size=batch_size, verbose=verbose, team=team)
        if every < 1:
            raise ValueError(f"`every` must be >= 1 epochs. Received: {every}")
        if batch_size < 1:
            raise ValueError(f"`batch_size` must be >= 1. Received: {batch_size}")
        self._every = every
        self._method = method
        self._method_options = dict(method_options or {})
        self._explain = explain
        self._target_layer = target_layer
        self._explained: keras.Model | None = None
        self._explainer: Explainer | None = None

    def prepare(self, model: keras.Model) -> None:
        """Check that the model can be explained; `fit` calls this when it begins.

        Raises:
            ValueError: The model cannot be explained.
        """
        if self._explained is model:
            return
        self._explainer = Explainer(
            model,
            self._method,
            explain=self._explain,
            target_layer=self._target_layer,
            **self._method_options,
        )
        self._explainer.prepare()
        self._explained = model

    def set_model(self, model: keras.Model) -> None:
        """Set the model and prepare to explain it."""
        super().set_model(model)
        self.prepare(model)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Clear the maps at the start of training."""
        if epoch == 0:
            self._data.maps.clear()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Refresh the maps if due."""
        if (epoch + 1) % self._every == 0 and epoch + 1 < self.params["epochs"]:
            self.refresh()

    def refresh(self) -> None:
        """Explain all training images now.

        Raises:
            RuntimeError: No model is set yet.
        """
        if self._explainer is None:
            raise RuntimeError("Call `refresh` inside `fit`, or after `prepare(model)`.")
        self._explainer.refresh()
        self._explain_all(self._explainer)


class FrozenTeacher(_HeatmapProvider):
    """Callback that gives augmentations heatmaps of a trained teacher, made once.

    The class that the teacher predicts is explained, so it need not know the classes of the data.
    It runs in float32 on images in [0, 255], like all models here.

    Args:
        data: The training split whose `batches` are passed to `fit`.
        path: A run folder or a `.keras` file.
        method: A name from `attribution.names()`.
        batch_size: Images per batch, >= 1.
        verbose: 1: a progress bar.
        team: The processes that share the work; None: this process does it all.

    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: The teacher does not take images of this size, or cannot be explained.
    """

    def __init__(
        self,
        data: TrainSplit,
        path: str | os.PathLike[str],
        *,
        method: str = METHOD,
        batch_size: int = 64,
        verbose: int = 0,
        team: Team | None = None,
    ) -> None:
        super().__init__(data, batch_size=batch_size, verbose=verbose, team=team)
        teacher = open_saved(path).model
        size = teacher.input_shape[1:3]
        if any(side not in (None, data.image_size) for side in size):
            raise ValueError(
                f"The teacher {path} takes images of {size[0]} x {size[1]} pixels. Set "
                f"--image-size or use another teacher. Received: images of {data.image_size} pixels"
            )
        self._explainer = Explainer(teacher, method, explain="predicted")
        self._explainer.prepare()
        # Raises if the teacher takes images of any size: its maps have no fixed shape.
        _ = self._explainer.map_shape
        self._is_done = False

    def set_state(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Restore the state from `get_state`; the teacher is not run again."""
        super().set_state(arrays)
        self._is_done = True

    def prepare(self, model: keras.Model) -> None:
        """Do nothing: the model being trained is not explained."""

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Make the maps on the first call."""
        if not self._is_done:
            self._explain_all(self._explainer)
            self._is_done = True


def map_callback(
    source: str, data: TrainSplit, *, batch_size: int, verbose: int = 0, team: Team | None = None
) -> RefreshMaps | FrozenTeacher:
    """Return the callback that provides the heatmaps of `source`.

    Args:
        source: "self:N", or the path of a run folder or `.keras` file.
        data, batch_size, verbose, team: See `RefreshMaps`.

    Raises:
        ValueError, OSError: See `RefreshMaps` and `FrozenTeacher`.
    """
    every = refresh_every(source)
    if every is None:
        path = Path(source)
        return FrozenTeacher(data, path, batch_size=batch_size, verbose=verbose, team=team)
    return RefreshMaps(data, every, batch_size=batch_size, verbose=verbose, team=team)
