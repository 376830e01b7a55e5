"""SP-LIME."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from proxy_keras.attribution.lime import LIME
from proxy_keras.attribution.masking import ScoredImages
from proxy_keras.attribution.method_options import SPLIMEOptions


def submodular_pick(weights: NDArray[np.floating], budget: int) -> NDArray[np.int64]:
    """The explanations that together show most of what matters to the model, in order of picking.

    A component matters by the root of its summed magnitudes over all explanations, and is covered
    as soon as one picked explanation gives it a weight other than 0. Picked greedily, which covers
    at least 1 - 1/e of what the best choice does; of equals the first is taken.

    Args:
        weights: [n, cells], an explanation per row; a column means the same in all of them.
        budget: How many to pick, >= 1.

    Returns:
        [min(budget, n)] int64, row numbers.

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

    Images have no words in common, so the superpixels here are the cells of a grid, the same for
    each image: a pick covers the places at which the model looks. A heatmap thus depends on the
    other images of its batch. For picking, an explanation is cut down to its heaviest cells, since
    a ridge regression gives hardly any cell a weight of 0.

    Options: see `SPLIMEOptions`.

    Source: Ribeiro, Singh and Guestrin, "Why Should I Trust You?": Explaining the Predictions of
    Any Classifier (KDD 2016), algorithm 2.
    """

    def weights(self, scored: ScoredImages, labels: NDArray[np.int32]) -> NDArray[np.float32]:
        """LIME's weights of the picked images, zeros for the others; see `SuperpixelMethod`."""
        weights = super().weights(scored, labels)
        order = np.argsort(-np.abs(weights), axis=1, kind="stable")[:, : self.features]
        heaviest = np.zeros_like(weights)
        np.put_along_axis(heaviest, order, np.take_along_axis(weights, order, axis=1), axis=1)
        is_picked = np.zeros([len(weights), 1], bool)
        is_picked[submodular_pick(heaviest, self.budget)] = True
        return np.where(is_picked, weights, 0.0)
