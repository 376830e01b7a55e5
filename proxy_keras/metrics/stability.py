"""Stability: how much heatmaps change when the images get a little noise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from proxy_keras.metrics.class_explainer import ClassExplainer
from proxy_keras.metrics.map_similarity import spearman
from proxy_keras.metrics.value_range import check_value_range


@dataclass(frozen=True)
class Stability:
    """How far heatmaps stay what they are.

    Attributes:
        spearman: [B] in [-1, 1], rank correlation with the heatmaps of noisy images, their mean.
        max_sensitivity: [B] >= 0, the largest change of the heatmap (Euclidean) relative to itself.
            A blank map that stays blank changes by 0, one that does not by 1.
    """

    spearman: NDArray[np.float64]
    max_sensitivity: NDArray[np.float64]


def stability(
    model: keras.Model,
    images: Any,
    method: str | ClassExplainer = "grad_cam_plus_plus",
    *,
    class_ids: Any = None,
    options: Mapping[str, Any] | None = None,
    radius: float = 0.02,
    samples: int = 10,
    value_range: tuple[float, float] = (0.0, 255.0),
    batch_size: int = 32,
    seed: int = 0,
) -> Stability:
    """How alike the heatmaps of noisy images are to those of the images.

    Args:
        model: A built Keras classifier.
        images: [B, H, W, C], in the range that the model takes.
        method: A name from `attribution.names()`, or a `ClassExplainer` of the model.
        class_ids: [B] integers, or one for all. None: the classes predicted without noise. The
            class that is explained stays the same under noise.
        options: Options of the method.
        radius: The noise is uniform in plus or minus this share of the range, > 0.
        samples: Number of noisy copies of each image, >= 1; all images get the same noise.
        value_range: Lowest and highest value of images that the model takes.
        batch_size: Images at a time, >= 1.
        seed: Decides the noise.

    Raises:
        ValueError: An argument has the wrong shape or no meaning.

    Source: Yeh et al., On the (In)fidelity and Sensitivity of Explanations (NeurIPS 2019),
    definition 3, by sampling.
    """
    check_value_range(value_range)
    if radius <= 0:
        raise ValueError(f"`radius` must be > 0 (a share of the range). Received: {radius}")
    if samples < 1:
        raise ValueError(f"`samples` must be >= 1. Received: {samples}")
    images = np.asarray(images, np.float32)
    explainer = ClassExplainer.of(model, method, options, batch_size)
    ids = explainer.class_ids(images, class_ids)
    plain = explainer.heatmaps(images, ids)
    reach = radius * (value_range[1] - value_range[0])
    correlations, changes = np.empty((2, samples, len(images)))
    for sample in range(samples):
        rng = np.random.default_rng([seed, sample])
        noise = rng.uniform(-reach, reach, images.shape[1:]).astype(np.float32)
        noisy = explainer.heatmaps(images + noise, ids)
        correlations[sample] = spearman(plain, noisy)
        changes[sample] = _relative_change(plain, noisy)
    return Stability(correlations.mean(axis=0), changes.max(axis=0))


def _relative_change(plain: NDArray[np.float32], noisy: NDArray[np.float32]) -> NDArray[np.float64]:
    """[B] norm of the difference by the norm of the map, or of the noisy one where it is blank."""
    change, before, after = (
        np.linalg.norm(maps.reshape(len(maps), -1).astype(np.float64), axis=1)
        for maps in (noisy - plain, plain, noisy)
    )
    norm = np.where(before > 0, before, after)
    return np.divide(change, norm, out=np.zeros_like(change), where=norm > 0)
