"""Fragility: how much a small perturbation can change a heatmap but not the class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from proxy_keras.metrics.class_explainer import ClassExplainer
from proxy_keras.metrics.map_similarity import spearman, top_k_intersection
from proxy_keras.metrics.value_range import check_value_range

# Sides in pixels of the squares that get the same sign: from fine to coarse noise.
_SQUARES = (1, 2, 4)


@dataclass(frozen=True)
class Fragility:
    """The worst perturbation found for each image.

    Attributes:
        spearman: [B] in [-1, 1], rank correlation of the heatmaps before and after.
        top_k_intersection: [B] in [0, 1], the share of the hottest pixels that stay hottest.
        perturbations: [B, H, W, C] float32, at most epsilon in magnitude; all zeros if none changed
            the heatmap and kept the class.
        before: [B, h, w] float32 in [0, 1], the heatmaps of the images.
        after: [B, h, w] float32 in [0, 1], those of images + perturbations.
    """

    spearman: NDArray[np.float64]
    top_k_intersection: NDArray[np.float64]
    perturbations: NDArray[np.float32]
    before: NDArray[np.float32]
    after: NDArray[np.float32]


def fragility(
    model: keras.Model,
    images: Any,
    method: str | ClassExplainer = "grad_cam_plus_plus",
    *,
    epsilon: float = 8.0,
    steps: int = 20,
    top_share: float = 0.1,
    options: Mapping[str, Any] | None = None,
    value_range: tuple[float, float] = (0.0, 255.0),
    batch_size: int = 32,
    seed: int = 0,
) -> Fragility:
    """Search for small perturbations that keep the predicted class but change the heatmap most.

    Works for any method, because it needs no gradient of the heatmap: the first third of the steps
    try random signs on the whole image, the others change the best so far in a random rectangle.
    The result is a bound: a stronger search may change the heatmap more.

    Args:
        model: A built Keras classifier.
        images: [B, H, W, C], within `value_range`.
        method: A name from `attribution.names()`, or a `ClassExplainer` of the model.
        epsilon: Largest change of a pixel value, > 0.
        steps: Number of perturbations to try, >= 1; each costs one heatmap per image.
        top_share: The share of pixels that count as hottest, in (0, 1].
        options: Options of the method.
        value_range: Lowest and highest pixel value that the model takes; perturbed images are
            clipped to it.
        batch_size: Images per batch, >= 1.
        seed: Seed of the perturbations, which are the same for all images.

    Raises:
        ValueError: An argument has an invalid shape or value.

    Source: Ghorbani et al., Interpretation of Neural Networks Is Fragile (AAAI 2019); its random
    sign attack, improved greedily.
    """
    check_value_range(value_range)
    low, high = value_range
    if epsilon <= 0:
        raise ValueError(f"`epsilon` must be > 0. Received: {epsilon}")
    if steps < 1:
        raise ValueError(f"`steps` must be >= 1. Received: {steps}")
    images = np.asarray(images, np.float32)
    if images.size and (images.min() < low or images.max() > high):
        raise ValueError(
            f"Images must be within `value_range`, {value_range}. Received: {images.min()} to "
            f"{images.max()}. Pass the range that the model takes."
        )
    explainer = ClassExplainer.of(model, method, options, batch_size)
    ids = explainer.class_ids(images, None)
    before = explainer.heatmaps(images, ids)
    after, best = before.copy(), np.zeros_like(images)
    lowest = np.ones(len(images))
    for step in range(steps):
        rng = np.random.default_rng([seed, step])
        signs = _signs(rng, images.shape[1:], _SQUARES[step % len(_SQUARES)])
        tried = np.where(
            _random_mask(rng, images.shape[1:3], is_whole=step <= steps // 3), epsilon * signs, best
        )
        tried = np.clip(tried, low - images, high - images).astype(np.float32)
        logits, heat = explainer.logits_and_heatmaps(images + tried, ids)
        correlation = spearman(before, heat)
        is_better = (logits.argmax(axis=1) == ids) & (correlation < lowest)
        best[is_better], after[is_better] = tried[is_better], heat[is_better]
        lowest[is_better] = correlation[is_better]
    return Fragility(lowest, top_k_intersection(before, after, top_share), best, before, after)


def _signs(rng: np.random.Generator, shape: tuple[int, ...], square: int) -> NDArray[np.float32]:
    """Return [H, W, C] random values -1 and 1, constant within squares of this side."""
    height, width, channels = shape
    cells = -(-height // square), -(-width // square), channels
    signs = rng.choice(np.array([-1.0, 1.0], np.float32), cells)
    return signs.repeat(square, axis=0).repeat(square, axis=1)[:height, :width]


def _random_mask(
    rng: np.random.Generator, size: tuple[int, int], *, is_whole: bool
) -> NDArray[np.bool_]:
    """Return a mask [H, W, 1]: all, or a rectangle of a quarter to half of each side."""
    if is_whole:
        return np.ones((*size, 1), bool)
    is_changed = np.zeros((*size, 1), bool)
    sides = [int(rng.integers(max(1, side // 4), side // 2 + 1)) for side in size]
    y, x = (int(rng.integers(0, whole - side + 1)) for whole, side in zip(size, sides, strict=True))
    is_changed[y : y + sides[0], x : x + sides[1]] = True
    return is_changed
