"""Average drop and average increase: the class probability when only hot pixels are kept."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from proxy_keras.attribution.baselines import Baseline
from proxy_keras.metrics.classifier import CompiledClassifier
from proxy_keras.metrics.heatmap_arrays import at_size, checked_heatmaps


def average_drop(
    model: keras.Model | CompiledClassifier,
    images: Any,
    heatmaps: Any,
    class_ids: Any = None,
    *,
    baseline: str = "black",
    value_range: tuple[float, float] = (0.0, 255.0),
    batch_size: int = 32,
    seed: int = 0,
) -> NDArray[np.float64]:
    """Compute the share of the class probability that each image loses when it is masked.

    The mean over images is the average drop; lower is better. Each image is blended with the
    baseline where its heatmap is cold: `baseline + heat * (image - baseline)`, which is the product
    of heatmap and image for a black baseline.

    Args:
        model: A built Keras classifier, or a `CompiledClassifier`.
        images: [B, H, W, C], in the range that the model takes.
        heatmaps: [B, h, w] in [0, 1] of any size; resized to the images.
        class_ids: [B] integers, or one for all images. None: the predicted classes.
        baseline: Replaces cold pixels; see `deletion`.
        value_range: Lowest and highest pixel value that the model takes.
        batch_size: Images per forward pass, >= 1.
        seed: Seed of a noise baseline.

    Returns:
        [B] float64 in [0, 1]: max(0, before - after) / before. A gain counts as no drop.

    Raises:
        ValueError: An argument has an invalid shape or value, or heat is outside [0, 1].

    Source: Chattopadhay et al., Grad-CAM++ (WACV 2018), section 4.1.
    """
    before, after = _probabilities(
        model, images, heatmaps, class_ids, baseline, value_range, batch_size, seed
    )
    lost = np.maximum(before - after, 0.0)
    return np.divide(lost, before, out=np.zeros_like(lost), where=before > 0)


def average_increase(
    model: keras.Model | CompiledClassifier,
    images: Any,
    heatmaps: Any,
    class_ids: Any = None,
    *,
    baseline: str = "black",
    value_range: tuple[float, float] = (0.0, 255.0),
    batch_size: int = 32,
    seed: int = 0,
) -> NDArray[np.bool_]:
    """Return whether the class probability of each image rises when it is masked.

    The mean over images is the average increase; higher is better. Arguments and errors as for
    `average_drop`.

    Returns:
        [B] bool.
    """
    before, after = _probabilities(
        model, images, heatmaps, class_ids, baseline, value_range, batch_size, seed
    )
    return after > before


def _probabilities(
    model: keras.Model | CompiledClassifier,
    images: Any,
    heatmaps: Any,
    class_ids: Any,
    baseline: str,
    value_range: tuple[float, float],
    batch_size: int,
    seed: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the class probabilities [B] of the images and of the masked images."""
    classifier = CompiledClassifier.of(model)
    images = classifier.checked_images(images)
    maps = checked_heatmaps(heatmaps, len(images))
    if maps.min() < 0 or maps.max() > 1:
        raise ValueError(
            f"Heat must be in [0, 1] to mask an image. Received: {maps.min()} to {maps.max()}. "
            "Pass it through proxy_keras.heatmaps.normalise."
        )
    heat = at_size(maps, images.shape[1:3])[..., np.newaxis]
    blank = Baseline(baseline, value_range, seed)(images).numpy()
    ids = classifier.checked_class_ids(class_ids, images, batch_size)
    masked = blank + heat * (images - blank)

    def copies(owners: NDArray[np.int64], which: NDArray[np.int64]) -> NDArray[np.float32]:
        is_masked = (which == 1)[:, np.newaxis, np.newaxis, np.newaxis]
        return np.where(is_masked, masked[owners], images[owners])

    scores = classifier.scores_of_copies(ids, 2, copies, batch_size)
    return scores[:, 0], scores[:, 1]
