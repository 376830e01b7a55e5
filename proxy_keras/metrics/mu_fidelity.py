"""MuFidelity: the correlation of random regions' heat with their effect on the score."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from proxy_keras.attribution.baselines import Baseline
from proxy_keras.metrics.classifier import CompiledClassifier
from proxy_keras.metrics.heatmap_arrays import at_size, checked_heatmaps
from proxy_keras.metrics.map_similarity import pearson


def mu_fidelity(
    model: keras.Model | CompiledClassifier,
    images: Any,
    heatmaps: Any,
    class_ids: Any = None,
    *,
    samples: int = 200,
    grid: int | None = 8,
    share: float = 0.2,
    output: str = "probability",
    baseline: str = "black",
    value_range: tuple[float, float] = (0.0, 255.0),
    batch_size: int = 32,
    seed: int = 0,
) -> NDArray[np.float64]:
    """Correlate the heat of random sets of cells with the drop of the score without them.

    Higher is better. Scaling the heat does not change the result. All sets have the same number of
    cells, so adding a constant does not either, if the grid divides the image into equal cells.

    Args:
        model: A built Keras classifier, or a `CompiledClassifier`.
        images: [B, H, W, C], in the range that the model takes.
        heatmaps: [B, h, w] of any size; resized to the images.
        class_ids: [B] integers, or one for all images. None: the predicted classes.
        samples: Number of sets, >= 2; each costs a forward pass per image.
        grid: Cells per side of the image, from 2 to its shorter side. None: each pixel is a cell.
        share: Share of the cells in a set, in (0, 1).
        output: The score: "probability" or "logit".
        baseline: Replaces removed pixels; see `deletion`.
        value_range: Lowest and highest pixel value that the model takes.
        batch_size: Images per forward pass, >= 1; bounds the memory.
        seed: Seed of the sets, which are the same for all images, and of a noise baseline.

    Returns:
        [B] float64 in [-1, 1]; 0 where the heat or the score is the same for all sets.

    Raises:
        ValueError: An argument has an invalid shape or value.

    Source: Bhatt et al., Evaluating and Aggregating Feature-based Model Explanations (IJCAI 2020).
    """
    classifier = CompiledClassifier.of(model)
    images = classifier.checked_images(images)
    height, width = images.shape[1:3]
    if samples < 2:
        raise ValueError(f"`samples` must be >= 2 for a correlation. Received: {samples}")
    if grid is not None and not 2 <= grid <= min(height, width):
        raise ValueError(
            f"`grid` must be None or from 2 to {min(height, width)}, the image's side. Received: "
            f"{grid}"
        )
    if not 0.0 < share < 1.0:
        raise ValueError(f"`share` must be in (0, 1). Received: {share}")
    maps = at_size(checked_heatmaps(heatmaps, len(images)), (height, width))
    blank = Baseline(baseline, value_range, seed)(images).numpy()
    ids = classifier.checked_class_ids(class_ids, images, batch_size)
    cells = _cells(height, width, grid)
    sets = _random_sets(int(cells.max()) + 1, samples, share, seed)

    def copies(owners: NDArray[np.int64], which: NDArray[np.int64]) -> NDArray[np.float32]:
        is_removed = sets[which][:, cells, np.newaxis]
        return np.where(is_removed, blank[owners], images[owners])

    scores = classifier.scores_of_copies(ids, samples, copies, batch_size, output)
    heat = np.array([np.bincount(cells.ravel(), weights=one.ravel()) for one in maps])
    # The score of the whole image is a constant and does not change the correlation.
    return pearson(heat @ sets.T.astype(np.float64), -scores)


def _cells(height: int, width: int, grid: int | None) -> NDArray[np.int64]:
    """Return the number of each pixel's cell, [H, W]."""
    if grid is None:
        return np.arange(height * width).reshape(height, width)
    rows, columns = (np.arange(side) * grid // side for side in (height, width))
    return rows[:, np.newaxis] * grid + columns


def _random_sets(cells: int, samples: int, share: float, seed: int) -> NDArray[np.bool_]:
    """Return masks [samples, cells] of random sets; at least one cell is in, and one is not."""
    count = min(max(1, round(share * cells)), cells - 1)
    order = np.random.default_rng(seed).random((samples, cells)).argsort(axis=1)
    return order < count
