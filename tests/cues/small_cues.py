"""Cues of three clusters in images of 1 x 4 cells, written by hand."""

from __future__ import annotations

from typing import Any

import numpy as np

from proxy_keras.cues.clustering import CellClusters
from proxy_keras.cues.cue_tree import CueTree
from proxy_keras.cues.examined import ExaminedImages


def clusters() -> CellClusters:
    """Three clusters at right angles; 0 and 1 are joined into node 3, and 2 to it into node 4."""
    return CellClusters(
        centroids=np.eye(3, dtype=np.float32),
        means=(np.eye(3) * [[1.0], [0.9], [0.8]]).astype(np.float32),
        counts=np.array([3, 1, 4]),
        joins=np.array([[0, 1], [3, 2]], np.int32),
    )


def tree(*roots: int) -> CueTree:
    """By default, cue 1 is the clusters 0 and 1, and cue 2 is cluster 2."""
    return CueTree(clusters(), roots or (3, 2))


def examined(maps: Any, evidence: Any, **others: Any) -> ExaminedImages:
    """Images with these clusters and this evidence [N, 4]; all else is right and unknown."""
    maps, evidence = (np.asarray(values)[:, np.newaxis] for values in (maps, evidence))
    count = len(maps)
    values: dict[str, Any] = {
        "example_ids": [f"image {number}" for number in range(count)],
        "labels": np.zeros([count], np.int32),
        "predictions": np.zeros([count], np.int32),
        "is_held_out": np.zeros([count], bool),
        "clusters": maps.astype(np.uint16),
        "evidence": evidence.astype(np.uint8),
        "similarity": np.full(maps.shape, 200, np.uint8),
        "inside": np.zeros(maps.shape, np.uint8),
        "has_object": np.zeros([count], bool),
        "num_clusters": 3,
    }
    for name, value in others.items():
        values[name] = np.asarray(value, values[name].dtype).reshape(values[name].shape)
    return ExaminedImages(**values)
