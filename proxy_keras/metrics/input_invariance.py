"""Input invariance: a constant shift that the model undoes must not change heatmaps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from proxy_keras.metrics.class_explainer import ClassExplainer
from proxy_keras.metrics.map_similarity import spearman


@dataclass(frozen=True)
class InputInvariance:
    """The similarity of heatmaps with and without the shift.

    Attributes:
        spearman: [B] in [-1, 1], rank correlation; 1 for an invariant method.
        difference: [B] in [0, 1], mean absolute difference; 0 for an invariant method.
        logit_difference: [B] >= 0, the largest difference of the logits; should be rounding error
            only.
    """

    spearman: NDArray[np.float64]
    difference: NDArray[np.float64]
    logit_difference: NDArray[np.float64]


def input_invariance(
    model: keras.Model,
    images: Any,
    method: str | ClassExplainer = "grad_cam_plus_plus",
    *,
    shift: float | Any = 64.0,
    class_ids: Any = None,
    options: Mapping[str, Any] | None = None,
    batch_size: int = 32,
) -> InputInvariance:
    """Compare heatmaps with those of shifted images, by a network that first undoes the shift.

    Both networks give the same logits for the same picture, so a sound method gives the same
    heatmaps. A method that multiplies by the image or uses a fixed baseline may not.

    Args:
        model: A built Keras classifier.
        images: [B, H, W, C], in the range that the model takes.
        method: A name from `attribution.names()`, or a `ClassExplainer` of the model.
        shift: Added to the images: a number, or one per channel [C]. Integers cause no rounding
            error on integer images.
        class_ids: [B] integers, or one for all images. None: the predicted classes.
        options: Options of the method. `value_range` is that of the unshifted images.
        batch_size: Images per batch, >= 1.

    Raises:
        ValueError: An argument has an invalid shape or value.

    Source: Kindermans et al., The (Un)reliability of Saliency Methods (2019).
    """
    images = np.asarray(images, np.float32)
    shift = np.asarray(shift, np.float32)
    if shift.shape not in ((), images.shape[-1:]) or not np.isfinite(shift).all():
        raise ValueError(
            f"`shift` must be a finite number, or {images.shape[-1]}, one per channel. "
            f"Received: {shift.tolist()}"
        )
    plain = ClassExplainer.of(model, method, options, batch_size)
    ids = plain.class_ids(images, class_ids)
    shifted_model = _ShiftedModel(model, shift)
    # Built on real images: a symbolic call would add a node to the user's model.
    shifted_model(images[:1])
    layer = plain.explainer.target_layer
    is_path = layer is not None and "/" in layer
    shifted = plain.of_other(
        shifted_model, **({"target_layer": f"{model.name}/{layer}"} if is_path else {})
    )
    logits, heat = plain.logits_and_heatmaps(images, ids)
    shifted_logits, shifted_heat = shifted.logits_and_heatmaps(images + shift, ids)
    return InputInvariance(
        spearman(heat, shifted_heat),
        np.abs(heat - shifted_heat).mean(axis=(1, 2), dtype=np.float64),
        np.abs(logits - shifted_logits).max(axis=1).astype(np.float64),
    )


class _ShiftedModel(keras.Model):
    """A classifier of shifted images: undoes the shift and calls the given classifier."""

    def __init__(self, model: keras.Model, shift: NDArray[np.float32]) -> None:
        super().__init__(name="shifted")
        self._unshift = keras.layers.Rescaling(1.0, offset=(-shift).tolist(), dtype="float32")
        self._model = model

    def call(self, images: Any) -> Any:
        """Return the classifier's output for the images without the shift."""
        return self._model(self._unshift(images), training=False)
