"""Explains given classes of images in batches, for the checks that change model or images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from proxy_keras.attribution import Explainer
from proxy_keras.metrics.classifier import check_batch_size, checked_class_ids


class ClassExplainer:
    """An explainer that is asked for the heatmaps of given classes.

    Checks take one in the place of a method's name, so that several checks of one model share its
    copy and its compiled graph.

    Args:
        model: Any built Keras 3 classifier. Not touched.
        method: A name from `attribution.names()`.
        options: Options of `Explainer` and of the method, such as `target_layer`. What is explained
            is the class that a check names.
        batch_size: Images at a time, >= 1.

    Attributes:
        explainer: The explainer itself.

    Raises:
        ValueError: As `Explainer`, or `batch_size` is below 1.
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
        """An explainer of the model by this method, or `method` itself where it is one.

        Raises:
            ValueError: `method` explains another model, or comes with options.
        """
        if isinstance(method, str):
            return cls(model, method, options, batch_size=batch_size)
        if method._model is not model or options:
            raise ValueError(
                "A ClassExplainer must be one of the checked model, and has its options already. "
                f"Received: one of '{method._model.name}' with options {dict(options or {})}. "
                "Pass the method's name instead."
            )
        return method

    def of_other(self, model: keras.Model, **options: Any) -> ClassExplainer:
        """The same for another model; `options` go before this one's."""
        return ClassExplainer(
            model,
            self.explainer.method,
            {**self._options, **options},
            batch_size=self._batch_size,
        )

    def class_ids(self, images: Any, class_ids: Any) -> NDArray[np.int64]:
        """[B]: the given classes, or one for all, or where None those that the model predicts.

        Raises:
            ValueError: There are no images, or these are no classes of the model.
        """
        if len(images) == 0:
            raise ValueError("At least one image is needed. Received: none.")
        if class_ids is None:
            parts = [self.explainer.logits(images[batch]) for batch in self._batches(images)]
            return np.concatenate(parts).argmax(axis=1)
        return checked_class_ids(class_ids, len(images), self.explainer.num_classes)

    def heatmaps(self, images: Any, class_ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Heatmaps [B, h, w] in [0, 1] of these classes."""
        return self.logits_and_heatmaps(images, class_ids)[1]

    def logits_and_heatmaps(
        self, images: Any, class_ids: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Logits [B, K] and heatmaps [B, h, w] in [0, 1] of these classes."""
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
