"""MaskTune: which heat is masked.

Source: Asgari Taghanaki et al., MaskTune: Mitigating Spurious Correlations by Forcing to Explore
    (2022).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_DEVIATIONS = 2.0


def heat_thresholds(heatmaps: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return the heat above which the pixels of each image are masked.

    Args:
        heatmaps: [N, H, W] >= 0, at the size of the images.

    Returns:
        [N] float32: mean plus two standard deviations of the pixels with heat > 0, and infinity for
        a blank heatmap. No pixel may be above it.
    """
    flat = np.asarray(heatmaps, np.float64).reshape(len(heatmaps), -1)
    is_positive = flat > 0.0
    counts = np.maximum(is_positive.sum(axis=1), 1)
    means = flat.sum(axis=1) / counts
    squares = np.where(is_positive, np.square(flat - means[:, np.newaxis]), 0.0)
    thresholds = means + _DEVIATIONS * np.sqrt(squares.sum(axis=1) / counts)
    return np.where(is_positive.any(axis=1), thresholds, np.inf).astype(np.float32)
