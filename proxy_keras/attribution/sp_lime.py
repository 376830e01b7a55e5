"""SP-LIME."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from proxy_keras.attribution.lime import LIME
from proxy_keras.attribution.masking import Subject


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


class SPLIME(LIME):
    """LIME of a few images that represent the batch; the heatmaps of the others are blank.

    Images have no words in common, so the superpixels here are the cells of a grid, the same for
    each image: a pick covers the places at which the model looks. A heatmap thus depends on the
    other images of its batch. For picking, an explanation is cut down to its heaviest cells, since
    a ridge regression gives hardly any cell a weight of 0.

    Args:
        budget: How many images of a batch are picked, >= 1.
        features: How many cells of an explanation count for picking, >= 1.
        kernel_width: Width of the neighbourhood in cosine distance, > 0.
        superpixels: About how many cells, >= 1.
        samples: Masked images per image, >= 2; the first of them is the image itself.
        baseline: What shows in place of hidden cells, see `MaskingMethod`.
        value_range: (lowest, highest) value of the images that the model takes.
        seed: Of the draw of cells.
        chunk_size: Masked copies per forward pass, >= 1; it bounds the memory.

    Raises:
        ValueError: An option is outside its range.

    Source: Ribeiro, Singh and Guestrin, "Why Should I Trust You?": Explaining the Predictions of
    Any Classifier (KDD 2016), algorithm 2.
    """

    def __init__(
        self,
        *,
        budget: int = 10,
        features: int = 10,
        kernel_width: float = 0.25,
        superpixels: int = 50,
        samples: int = 1000,
        baseline: str = "mean",
        value_range: tuple[float, float] = (0.0, 255.0),
        seed: int = 0,
        chunk_size: int = 32,
    ) -> None:
        super().__init__(
            kernel_width=kernel_width,
            superpixels=superpixels,
            samples=samples,
            segmentation="grid",
            baseline=baseline,
            value_range=value_range,
            seed=seed,
            chunk_size=chunk_size,
        )
        if budget < 1:
            raise ValueError(f"`budget` must be >= 1. Received: {budget}")
        if features < 1:
            raise ValueError(f"`features` must be >= 1. Received: {features}")
        self.budget = budget
        self.features = features

    def weights(self, subject: Subject, labels: NDArray[np.int32]) -> NDArray[np.float32]:
        """LIME's weights of the picked images, zeros for the others; see `SuperpixelMethod`."""
        weights = super().weights(subject, labels)
        order = np.argsort(-np.abs(weights), axis=1, kind="stable")[:, : self.features]
        heaviest = np.zeros_like(weights)
        np.put_along_axis(heaviest, order, np.take_along_axis(weights, order, axis=1), axis=1)
        is_picked = np.zeros([len(weights), 1], bool)
        is_picked[submodular_pick(heaviest, self.budget)] = True
        return np.where(is_picked, weights, 0.0)
