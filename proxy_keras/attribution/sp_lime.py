"""SP-LIME."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from proxy_keras.attribution.lime import LIME
from proxy_keras.attribution.masking import ScoredImages
from proxy_keras.attribution.masking_options import SPLIMEOptions


def submodular_pick(weights: NDArray[np.floating], budget: int) -> NDArray[np.int64]:
    """Return the explanations that cover the most important components, in order of picking.

    The importance of a component is the root of its summed magnitudes over all explanations. It is
    covered if a picked explanation gives it a nonzero weight. The greedy choice covers at least
    1 - 1/e of what the best choice does; ties go to the first explanation.

    Args:
        weights: [n, cells], an explanation per row; columns have the same meaning in all rows.
        budget: How many to pick, >= 1.

    Returns:
        [min(budget, n)] int64, row indices.

    Raises:
        ValueError: `budget` is below 1, or `weights` are not [n, cells].

    Source: Ribeiro, Singh and Guestrin, "Why Should I Trust You?": Explaining the Predictions of
    Any Classifier (KDD 2016), algorithm 2.
    """
    if budget < 1:
        raise ValueError(f"`budget` must be >= 1. Received: {budget}")
    magnitudes = np.abs(np.asarray(weights, np.float64))
    if magnitudes.ndim != 2:
        raise ValueError(f"`weights` must be [n, cells]. Received: shape {magnitudes.shape}")
    importance = np.sqrt(magnitudes.sum(axis=0))
    is_covered = np.zeros(magnitudes.shape[1], bool)
    is_free = np.ones(len(magnitudes), bool)
    picked: list[int] = []
    while len(picked) < min(budget, len(magnitudes)):
        gains = (magnitudes > 0) @ np.where(is_covered, 0.0, importance)
        best = int(np.argmax(np.where(is_free, gains, -1.0)))
        picked.append(best)
        is_free[best] = False
        is_covered |= magnitudes[best] > 0
    return np.array(picked, np.int64)


class SPLIME(SPLIMEOptions, LIME):
    """LIME of a few images that represent the batch; the heatmaps of the others are blank.

    Unlike texts, images share no features, so the superpixels are the cells of a grid, the same
    for each image: the picked images cover the positions at which the model looks. A heatmap thus
    depends on the other images of its batch. For picking, only the cells with the largest weights
    count, because ridge regression rarely gives a weight of 0.

    Source: Ribeiro, Singh and Guestrin, "Why Should I Trust You?": Explaining the Predictions of
    Any Classifier (KDD 2016), algorithm 2.
    """

    def weights(self, scored: ScoredImages, labels: NDArray[np.int32]) -> NDArray[np.float32]:
        """Return LIME's weights of the picked images, zeros for the others."""
        weights = super().weights(scored, labels)
        order = np.argsort(-np.abs(weights), axis=1, kind="stable")[:, : self.features]
        largest = np.zeros_like(weights)
        np.put_along_axis(largest, order, np.take_along_axis(weights, order, axis=1), axis=1)
        is_picked = np.zeros([len(weights), 1], bool)
        is_picked[submodular_pick(largest, self.budget)] = True
        return np.where(is_picked, weights, 0.0)
