"""Clusters of cells: k-means on features of length 1, joined into a tree."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from proxy_keras.io.extras import extra

# Below this, the mean of a cluster is zero but for rounding.
_SHORTEST = 1e-6


@dataclass(frozen=True)
class CellClusters:
    """Clusters of cells, and the order in which they are joined.

    Attributes:
        centroids: [M, D] float32 of length 1.
        means: [M, D] float32, the mean of each cluster's cells. Its length is their mean cosine
            similarity to the centroid.
        counts: [M] int64, cells of each cluster.
        joins: [M - 1, 2] int32: row i joins these two nodes into node M + i. Nodes below M are
            clusters.
    """

    centroids: NDArray[np.float32]
    means: NDArray[np.float32]
    counts: NDArray[np.int64]
    joins: NDArray[np.int32]


MOST_CLUSTERS = 4096
"""The largest number of clusters: joining them takes memory and time by its square."""


def cluster_cells(features: NDArray[np.float32], clusters: int, *, seed: int) -> CellClusters:
    """Cluster cells by their features.

    Args:
        features: [n, D] float32 of length 1, n >= 1.
        clusters: Number of clusters M, from 2 to `MOST_CLUSTERS`. There are fewer if there are
            fewer distinct cells.
        seed: Of the initial centroids. The same arguments give the same bits, in any process.

    Raises:
        MissingExtra: scikit-learn is not installed.
        ValueError: There are fewer than two distinct cells.

    Source: mini-batch k-means, Sculley, Web-Scale K-Means Clustering (WWW 2010); joined by average
        cosine distance between centroids.
    """
    with extra("cues"):
        from scipy.cluster.hierarchy import linkage
        from scipy.spatial.distance import pdist
        from sklearn.cluster import MiniBatchKMeans
        from sklearn.exceptions import ConvergenceWarning
        from threadpoolctl import threadpool_limits
    # scikit-learn refuses more clusters than cells.
    kmeans = MiniBatchKMeans(
        min(clusters, len(features)), random_state=seed, n_init=3, batch_size=4096
    )
    # With several threads, sums would depend on their timing in the last bit.
    with threadpool_limits(1), warnings.catch_warnings():
        # Fewer distinct cells than clusters: the empty clusters are dropped below.
        warnings.simplefilter("ignore", ConvergenceWarning)
        labels = kmeans.fit_predict(features)
    used, first, labels = np.unique(labels, return_index=True, return_inverse=True)
    if len(used) < 2:
        raise ValueError(
            "All cells that the model looks at have the same features, so there is only one cue. "
            "Use more images, or another target layer (--layer, target_layer=)."
        )
    counts = np.bincount(labels)
    means = np.zeros([len(used), features.shape[1]], np.float64)
    np.add.at(means, labels, features)
    means /= counts[:, np.newaxis]
    # Opposite cells can cancel out; then the centroid is the first of them.
    has_length = np.linalg.norm(means, axis=1, keepdims=True) > _SHORTEST
    centroids = np.where(has_length, means, features[first])
    centroids /= np.linalg.norm(centroids, axis=1, keepdims=True)
    # Rounding takes the distance of equal centroids below 0.
    distances = np.maximum(pdist(centroids, "cosine"), 0.0)
    joins = linkage(distances, method="average")[:, :2]
    return CellClusters(
        centroids.astype(np.float32),
        means.astype(np.float32),
        counts.astype(np.int64),
        joins.astype(np.int32),
    )
