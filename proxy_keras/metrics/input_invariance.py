"""Input invariance: a shift of the images that the model takes back must not change heatmaps."""

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
    """How alike heatmaps are with and without the shift.

    Attributes:
        spearman: [B] in [-1, 1], rank correlation; 1 for a method that passes.
        difference: [B] in [0, 1], mean absolute difference of the heatmaps; 0 for one that passes.
        logit_difference: [B] >= 0, the largest difference of the logits: rounding, which shows that
            both networks compute the same.
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
    """How alike the heatmaps of shifted images are, by a network that first takes the shift back.

    Both networks give the same logits for the same picture, so that a sound method explains them
    alike. One that multiplies with the image, or compares with a fixed baseline, need not.

    Args:
        model: A built Keras classifier.
        images: [B, H, W, C], in the range that the model takes.
        method: A name from `attribution.names()`, or a `ClassExplainer` of the model.
        shift: Added to the images: a number, or one per channel [C]. Whole numbers lose nothing to
            rounding on images of whole numbers.
        class_ids: [B] integers, or one for all. None: the predicted classes.
        options: Options of the method. A `value_range` stays that of the images without shift.
        batch_size: Images at a time, >= 1.

    Raises:
        ValueError: An argument has the wrong shape or no meaning.

    Source: Kindermans et al., The (Un)reliability of Saliency Methods (2019).
    """
    images = np.asarray(images, np.float32)
    shift = np.asarray(shift, np.float32)
    if shift.shape not in ((), images.shape[-1:]) or not np.isfinite(shift).all():
        raise ValueError(
            f"`shift` must be a number or {images.shape[-1]} of them, one per channel, finite. "
            f"Received: {shift.tolist()}"
        )
    plain = ClassExplainer.of(model, method, options, batch_size)
    ids = plain.class_ids(images, class_ids)
    shifted_model = _ShiftedModel(model, shift)
    # Built by a call on images: a symbolic one would leave a node on the user's model.
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
    """A classifier of shifted images: takes the shift back and asks another one."""

    def __init__(self, model: keras.Model, shift: NDArray[np.float32]) -> None:
        super().__init__(name="shifted")
        self._unshift = keras.layers.Rescaling(1.0, offset=(-shift).tolist(), dtype="float32")
        self._model = model

    def call(self, images: Any) -> Any:
        """What the classifier answers to the images without the shift."""
        return self._model(self._unshift(images), training=False)
