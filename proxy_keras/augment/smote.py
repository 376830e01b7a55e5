"""SMOTE: rare classes filled up with images between two neighbours of the class."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from imblearn.over_sampling import SMOTE
from numpy.typing import NDArray
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
    """The images, and new ones of each rarer class until all classes have as many as the largest.

    A new image lies between an image and one of its nearest neighbours of the class:
    `image + w * (neighbour - image)`, w even in [0, 1), as imbalanced-learn draws them.

    Args:
        images: [N, H, W, C], uint8 or float32.
        labels: [N] class ids.
        features: [N, D], in which neighbours are near, such as a network's; None: the pixels. The
            pixels are mixed either way.
        neighbours: Nearest neighbours that are drawn from, >= 1; fewer in a class that has fewer.
        seed: Keys the draws.

    Returns:
        images, [M, H, W, C] of the same dtype, those given first; and labels [M].

    Raises:
        ValueError: The arrays do not fit each other, or a class has one image only.

    Source: Chawla et al., SMOTE (2002).
    """
    images, labels = np.asarray(images), np.asarray(labels)
    flat = images.reshape(len(images), -1)
    space = flat.astype(np.float32) if features is None else np.asarray(features, np.float32)
    if not len(images) == len(labels) == len(space):
        raise ValueError(
            "There must be as many labels, and features, as images. Received: "
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
            f"Class {classes[counts.argmin()]} has one image only, and SMOTE needs two. Leave the "
            "class out, or collect more."
        )
    near = _NearByFeatures(space.reshape(len(space), -1), 1 + neighbours)
    # Of each image its own row of the identity, SMOTE makes the weights of the images in new ones.
    rows = sparse.identity(len(images), format="csr")
    weights, made = SMOTE(k_neighbors=near, random_state=seed).fit_resample(rows, labels)
    new = weights[len(images) :] @ flat.astype(np.float64)
    if np.issubdtype(images.dtype, np.integer):
        new = np.rint(new)
    new = np.asarray(new).astype(images.dtype).reshape(-1, *images.shape[1:])
    return np.concatenate([images, new]), made


class _NearByFeatures(NearestNeighbors):
    """Nearest neighbours among rows of the identity matrix, by the features of their images."""

    def __init__(self, features: NDArray[np.float32], n_neighbors: int) -> None:
        super().__init__(n_neighbors=n_neighbors)
        self.features = features

    def fit(self, X: sparse.csr_matrix, y: None = None) -> Self:
        """See `NearestNeighbors`."""
        return super().fit(self.features[X.indices], y)

    def kneighbors(self, X: sparse.csr_matrix, **options: Any) -> Any:
        """See `NearestNeighbors`, but all where there are fewer than `n_neighbors`."""
        count = min(self.n_neighbors, self.n_samples_fit_)
        return super().kneighbors(self.features[X.indices], n_neighbors=count, **options)
