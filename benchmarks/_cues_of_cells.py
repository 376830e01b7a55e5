"""Cues of cells that were read before, as `find_cues` makes them."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
from _planted_cues import Cells
from numpy.typing import NDArray

from proxy_keras.cues.clustering import CellClusters
from proxy_keras.cues.cue_tree import SHOWN, CueTree, open_tree
from proxy_keras.cues.cues import Cues
from proxy_keras.cues.examined import ExaminedImages
from proxy_keras.cues.find import (
    CELLS_PER_CLUSTER,
    EVIDENCE_FROM,
    MOST_CLUSTERS,
    SAMPLE,
    SMALLEST_SAMPLE,
)
from proxy_keras.heatmaps.eight_bit import quantise


def training(cells: Cells) -> Cells:
    """Return the cells of the training images."""
    chosen = ~cells.is_held_out
    return Cells(*(getattr(cells, field.name)[chosen] for field in dataclasses.fields(Cells)))


def sampled(cells: Cells, evidence_from: float = EVIDENCE_FROM) -> NDArray[np.float32]:
    """Return the features that `find_cues` clusters: of a sample of images, with evidence."""
    count = max(SMALLEST_SAMPLE, round(SAMPLE * len(cells.labels)))
    images = np.sort(np.random.default_rng(0).permutation(len(cells.labels))[:count])
    return cells.features[images][cells.evidence[images] >= evidence_from]


def automatic(features: NDArray[np.float32]) -> int:
    """Return the number of clusters that `find_cues` chooses."""
    return int(np.clip(len(features) // CELLS_PER_CLUSTER, 2, MOST_CLUSTERS))


def nearest(cells: Cells, clusters: CellClusters) -> NDArray[np.int64]:
    """Return the cluster of every cell, [N, h, w]."""
    return (cells.features @ clusters.centroids.T).argmax(axis=-1)


def examined(
    cells: Cells, labels: NDArray[np.int64], count: int, *, known: float, seed: int = 0
) -> ExaminedImages:
    """Return the cells as `Cues` keeps them, with the object known in a share of the images."""
    total = len(cells.labels)
    has_object = np.zeros([total], bool)
    has_object[np.random.default_rng(seed).permutation(total)[: round(known * total)]] = True
    has_object &= ~cells.is_held_out & cells.inside.any(axis=(1, 2))
    inside = np.where(has_object[:, None, None], cells.inside, 0)
    return ExaminedImages(
        example_ids=[str(number) for number in range(total)],
        labels=cells.labels.astype(np.int32),
        predictions=cells.predictions.astype(np.int32),
        is_held_out=cells.is_held_out,
        clusters=labels.astype(np.uint16),
        evidence=quantise(cells.evidence),
        similarity=np.zeros(labels.shape, np.uint8),
        inside=quantise(inside),
        has_object=has_object,
        num_clusters=count,
    )


def cues_of(
    cells: Cells, clusters: CellClusters, *, known: float = 0.1, shown: int = SHOWN, seed: int = 0
) -> Cues:
    """Return the cues of these clusters, without the network."""
    images = examined(cells, nearest(cells, clusters), len(clusters.counts), known=known, seed=seed)
    roots = open_tree(clusters, images.evidence_by_cluster.mean(axis=0), shown)
    reader = SimpleNamespace(num_classes=int(cells.labels.max()) + 1)
    return Cues(None, reader, CueTree(clusters, roots), images)
