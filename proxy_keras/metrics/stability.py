"""Stability: how much heatmaps change when a little noise is added to the images."""

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
    """The similarity of heatmaps with and without noise.

    Attributes:
        spearman: [B] in [-1, 1], mean rank correlation with the heatmaps of noisy images.
        max_sensitivity: [B] >= 0, the largest relative change of the heatmap (Euclidean norm). For
            a blank map: 0 if it stays blank, else 1.
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
    """Compare the heatmaps of noisy images with those of the images.

    Args:
        model: A built Keras classifier.
        images: [B, H, W, C], in the range that the model takes.
        method: A name from `attribution.names()`, or a `ClassExplainer` of the model.
        class_ids: [B] integers, or one for all. None: the classes predicted without noise. The
            explained class stays the same under noise.
        options: Options of the method.
        radius: Amplitude of the uniform noise, as a share of `value_range`, > 0.
        samples: Number of noisy copies of each image, >= 1; all images get the same noise.
        value_range: Lowest and highest pixel value that the model takes.
        batch_size: Images per batch, >= 1.
        seed: Seed of the noise.

    Raises:
        ValueError: An argument has an invalid shape or value.

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
    amplitude = radius * (value_range[1] - value_range[0])
    correlations, changes = np.empty((2, samples, len(images)))
    for sample in range(samples):
        rng = np.random.default_rng([seed, sample])
        noise = rng.uniform(-amplitude, amplitude, images.shape[1:]).astype(np.float32)
        noisy = explainer.heatmaps(images + noise, ids)
        correlations[sample] = spearman(plain, noisy)
        changes[sample] = _relative_change(plain, noisy)
    return Stability(correlations.mean(axis=0), changes.max(axis=0))


def _relative_change(plain: NDArray[np.float32], noisy: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return norms [B] of the difference relative to the map, or to the noisy one if blank."""
    change, before, after = (
        np.linalg.norm(maps.reshape(len(maps), -1).astype(np.float64), axis=1)
        for maps in (noisy - plain, plain, noisy)
    )
    norm = np.where(before > 0, before, after)
    return np.divide(change, norm, out=np.zeros_like(change), where=norm > 0)
