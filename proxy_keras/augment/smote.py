"""SMOTE: rare classes oversampled with images interpolated between neighbours of the class."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from proxy_keras.io.extras import extra

with extra("train"):
    from imblearn.over_sampling import SMOTE
    from scipy import sparse
    from sklearn.neighbors import NearestNeighbors


def smote(
    images: NDArray[Any],
    labels: NDArray[np.integer],
    *,
    features: NDArray[np.floating] | None = None,
    neighbours: int = 5,
    seed: int = 0,
) -> tuple[NDArray[Any], NDArray[np.integer]]:
    """Add synthetic images of the rarer classes until all classes are as large as the largest.

    A new image lies between an image and one of its nearest neighbours of the class:
    `image + w * (neighbour - image)`, w uniform in [0, 1), as drawn by imbalanced-learn.

    Args:
        images: [N, H, W, C], uint8 or float32.
        labels: [N] class ids.
        features: [N, D] features, such as a network's, that define which images are neighbours;
            None: the pixels. The pixels are interpolated in either case.
        neighbours: Nearest neighbours to draw from, >= 1; fewer in smaller classes.
        seed: Seed of the draws.

    Returns:
        images [M, H, W, C] of the same dtype, starting with the given ones; and labels [M].

    Raises:
        ValueError: The lengths of the arrays differ, or a class has only one image.

    Source: Chawla et al., SMOTE (2002).
    """
    images, labels = np.asarray(images), np.asarray(labels)
    flat = images.reshape(len(images), -1)
    space = flat.astype(np.float32) if features is None else np.asarray(features, np.float32)
    if not len(images) == len(labels) == len(space):
        raise ValueError(
            "`images`, `labels` and `features` must have the same length. Received: "
            f"{len(images)} images, {len(labels)} labels, {len(space)} features"
        )
    if neighbours < 1:
        raise ValueError(f"`neighbours` must be >= 1. Received: {neighbours}")
    classes, counts = np.unique(labels, return_counts=True)
    if len(classes) < 2 or counts.min() == counts.max():
        return images, labels
    rarest = int(counts.min())
    if rarest < 2:
        raise ValueError(
            f"Class {classes[counts.argmin()]} has only one image, and SMOTE needs two. Remove the "
            "class, or collect more images."
        )
    near = _FeatureNeighbours(space.reshape(len(space), -1), 1 + neighbours)
    # From rows of the identity matrix, SMOTE computes the weights of the images in the new ones.
    rows = sparse.identity(len(images), format="csr")
    weights, made = SMOTE(k_neighbors=near, random_state=seed).fit_resample(rows, labels)
    new = weights[len(images) :] @ flat.astype(np.float64)
    if np.issubdtype(images.dtype, np.integer):
        new = np.rint(new)
    new = np.asarray(new).astype(images.dtype).reshape(-1, *images.shape[1:])
    return np.concatenate([images, new]), made


class _FeatureNeighbours(NearestNeighbors):
    """Nearest neighbours of rows of the identity matrix, by the features of their images."""

    def __init__(self, features: NDArray[np.float32], n_neighbors: int) -> None:
        super().__init__(n_neighbors=n_neighbors)
        self.features = features

    def fit(self, X: sparse.csr_matrix, y: None = None) -> Self:
        """See `NearestNeighbors`."""
        return super().fit(self.features[X.indices], y)

    def kneighbors(self, X: sparse.csr_matrix, **options: Any) -> Any:
        """See `NearestNeighbors`; returns all points if there are fewer than `n_neighbors`."""
        count = min(self.n_neighbors, self.n_samples_fit_)
        return super().kneighbors(self.features[X.indices], n_neighbors=count, **options)
