"""Deletion and insertion: the class probability as the hottest pixels are removed or added."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from proxy_keras.attribution.baselines import Baseline
from proxy_keras.metrics.classifier import CompiledClassifier
from proxy_keras.metrics.heatmap_arrays import at_size, checked_heatmaps, rank_by_heat


@dataclass(frozen=True)
class ProbabilityCurves:
    """The class probability of each image, by the share of pixels removed or inserted.

    Attributes:
        shares: [steps + 1] in [0, 1], the share of pixels removed or inserted.
        curves: [B, steps + 1] in [0, 1], the probability at each share.
        scores: [B] in [0, 1], the area under each curve (trapezoids).
    """

    shares: NDArray[np.float64]
    curves: NDArray[np.float64]
    scores: NDArray[np.float64]

    @property
    def mean(self) -> float:
        """The mean score."""
        return float(self.scores.mean())


def deletion(
    model: keras.Model | CompiledClassifier,
    images: Any,
    heatmaps: Any,
    class_ids: Any = None,
    *,
    steps: int = 50,
    baseline: str = "black",
    value_range: tuple[float, float] = (0.0, 255.0),
    batch_size: int = 32,
    seed: int = 0,
) -> ProbabilityCurves:
    """Compute the area under the class probability as the hottest pixels are removed.

    Lower is better: the class depends on what the heatmap shows.

    Args:
        model: A built Keras classifier, or a `CompiledClassifier`.
        images: [B, H, W, C], in the range that the model takes.
        heatmaps: [B, h, w] of any size; resized to the images.
        class_ids: [B] integers, or one for all images. None: the predicted classes.
        steps: Number of equal steps in which the pixels are removed, >= 1.
        baseline: Replaces removed pixels: "black", "white", "mean" (the image's own
            colour), "blur" or "uniform" (noise); see `attribution.baselines.Baseline`.
        value_range: Lowest and highest pixel value that the model takes.
        batch_size: Images per forward pass, >= 1; bounds the memory.
        seed: Seed of the order of equally hot pixels, and of the noise.

    Raises:
        ValueError: An argument has an invalid shape or value.

    Source: Petsiuk et al., RISE: Randomized Input Sampling for Explanation of Black-box Models
    (BMVC 2018), section 4.2.
    """
    partial = _PartialImages(images, heatmaps, model, baseline, value_range, steps, seed)
    return partial.curves(class_ids, batch_size, removes=True)


def insertion(
    model: keras.Model | CompiledClassifier,
    images: Any,
    heatmaps: Any,
    class_ids: Any = None,
    *,
    steps: int = 50,
    baseline: str = "blur",
    value_range: tuple[float, float] = (0.0, 255.0),
    batch_size: int = 32,
    seed: int = 0,
) -> ProbabilityCurves:
    """Compute the area under the class probability as the hottest pixels are inserted.

    Higher is better. Arguments and errors as for `deletion`. The default baseline is a blurred
    image, because networks see the edges of pixels on black as shapes.
    """
    partial = _PartialImages(images, heatmaps, model, baseline, value_range, steps, seed)
    return partial.curves(class_ids, batch_size, removes=False)


class _PartialImages:
    """Images with part of their pixels replaced; see `deletion` for the arguments."""

    def __init__(
        self,
        images: Any,
        heatmaps: Any,
        model: keras.Model | CompiledClassifier,
        baseline: str,
        value_range: tuple[float, float],
        steps: int,
        seed: int,
    ) -> None:
        if steps < 1:
            raise ValueError(f"`steps` must be >= 1. Received: {steps}")
        self._classifier = CompiledClassifier.of(model)
        self._images = self._classifier.checked_images(images)
        maps = at_size(checked_heatmaps(heatmaps, len(self._images)), self._images.shape[1:3])
        self._ranks = rank_by_heat(maps, seed)
        self._blank = Baseline(baseline, value_range, seed)(self._images).numpy()
        pixels = maps[0].size
        self._counts = np.rint(np.linspace(0, pixels, steps + 1)).astype(np.int64)
        self._shares = self._counts / pixels

    def curves(self, class_ids: Any, batch_size: int, *, removes: bool) -> ProbabilityCurves:
        ids = self._classifier.checked_class_ids(class_ids, self._images, batch_size)

        def copies(owners: NDArray[np.int64], which: NDArray[np.int64]) -> NDArray[np.float32]:
            is_hot = self._ranks[owners] < self._counts[which][:, np.newaxis, np.newaxis]
            is_blank = is_hot if removes else ~is_hot
            return np.where(is_blank[..., np.newaxis], self._blank[owners], self._images[owners])

        curves = self._classifier.scores_of_copies(ids, len(self._counts), copies, batch_size)
        return ProbabilityCurves(self._shares, curves, np.trapezoid(curves, self._shares, axis=1))
