"""Batched heatmaps of given classes, for the metrics that change the model or the images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from proxy_keras.attribution import Explainer
from proxy_keras.metrics.classifier import check_batch_size, checked_class_ids


class ClassExplainer:
    """An explainer of given classes.

    Metrics accept one in place of a method's name, so that several metrics of one model share its
    copy and its compiled graph.

    Args:
        model: Any built Keras 3 classifier. Not modified.
        method: A name from `attribution.names()`.
        options: Options of `Explainer` and of the method, such as `target_layer`, except `explain`.
        batch_size: Images per batch, >= 1.

    Attributes:
        explainer: The wrapped `Explainer`.

    Raises:
        ValueError: As for `Explainer`, or `batch_size` is below 1.
    """

    def __init__(
        self,
        model: keras.Model,
        method: str,
        options: Mapping[str, Any] | None = None,
        *,
        batch_size: int = 32,
    ) -> None:
        check_batch_size(batch_size)
        self._model = model
        self._options = dict(options or {})
        self._batch_size = batch_size
        self.explainer = Explainer(model, method, **{**self._options, "explain": "true"})

    @classmethod
    def of(
        cls,
        model: keras.Model,
        method: str | ClassExplainer,
        options: Mapping[str, Any] | None,
        batch_size: int,
    ) -> ClassExplainer:
        """Return an explainer of the model by this method, or `method` itself if it is one.

        Raises:
            ValueError: `method` explains another model, or options are given too.
        """
        if isinstance(method, str):
            return cls(model, method, options, batch_size=batch_size)
        if method._model is not model or options:
            raise ValueError(
                "A ClassExplainer must explain the given model, and takes no further options. "
                f"Received: one of '{method._model.name}' with options {dict(options or {})}. "
                "Pass the method's name instead."
            )
        return method

    def of_other(self, model: keras.Model, **options: Any) -> ClassExplainer:
        """Return the same explainer for another model; `options` override this one's."""
        return ClassExplainer(
            model,
            self.explainer.method,
            {**self._options, **options},
            batch_size=self._batch_size,
        )

    def class_ids(self, images: Any, class_ids: Any) -> NDArray[np.int64]:
        """Return class ids [B]: the given ones, or the predicted ones if None.

        Raises:
            ValueError: There are no images, or the ids are invalid.
        """
        if len(images) == 0:
            raise ValueError("At least one image is required. Received: none.")
        if class_ids is None:
            parts = [self.explainer.logits(images[batch]) for batch in self._batches(images)]
            return np.concatenate(parts).argmax(axis=1)
        return checked_class_ids(class_ids, len(images), self.explainer.num_classes)

    def heatmaps(self, images: Any, class_ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return heatmaps [B, h, w] in [0, 1] of these classes."""
        return self.logits_and_heatmaps(images, class_ids)[1]

    def logits_and_heatmaps(
        self, images: Any, class_ids: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return logits [B, K] and heatmaps [B, h, w] in [0, 1] of these classes."""
        parts = [
            self.explainer.logits_and_heatmaps(images[batch], class_ids[batch])
            for batch in self._batches(images)
        ]
        return np.concatenate([logits for logits, _ in parts]), np.concatenate(
            [heat for _, heat in parts]
        )

    def _batches(self, images: Any) -> list[slice]:
        starts = range(0, len(images), self._batch_size)
        return [slice(start, start + self._batch_size) for start in starts]
