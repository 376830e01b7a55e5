"""ExaminedImages: the cells of the images in which cues were found."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

# Cells whose sums are formed at once: 2**20 take about 32 MB.
_BLOCK = 2**20


@dataclass(frozen=True)
class ExaminedImages:
    """What the classifier sees in each examined image, cell by cell.

    Attributes:
        example_ids: N ids, unique.
        labels: [N] int32 class ids; -1: unknown.
        predictions: [N] int32 class ids.
        is_held_out: [N] bool: the image was not trained on.
        clusters: [N, h, w] uint16, the cluster of each cell.
        evidence: [N, h, w] uint8; 255 stands for 1.0, the highest of the image.
        similarity: [N, h, w] uint8; 255 stands for a cosine similarity of 1 to the centroid.
        inside: [N, h, w] uint8, share of each cell's area on the object; 255 stands for 1.0. Zeros
            where the object is not known.
        has_object: [N] bool: the object is known.
        num_clusters: M.
    """

    example_ids: list[str]
    labels: NDArray[np.int32]
    predictions: NDArray[np.int32]
    is_held_out: NDArray[np.bool_]
    clusters: NDArray[np.uint16]
    evidence: NDArray[np.uint8]
    similarity: NDArray[np.uint8]
    inside: NDArray[np.uint8]
    has_object: NDArray[np.bool_]
    num_clusters: int

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.example_ids)

    @classmethod
    def join(cls, parts: Sequence[Self]) -> Self:
        """Return the images of all parts, at least one, in order. They have the same clusters."""
        first = parts[0]
        joined: dict[str, Any] = {"num_clusters": first.num_clusters}
        joined["example_ids"] = [name for part in parts for name in part.example_ids]
        for field in fields(first):
            if field.name not in joined:
                joined[field.name] = np.concatenate([getattr(part, field.name) for part in parts])
        return cls(**joined)

    def take(self, rows: NDArray[np.int64]) -> Self:
        """Return the images in these rows, in this order."""
        taken: dict[str, Any] = {"num_clusters": self.num_clusters}
        taken["example_ids"] = [self.example_ids[row] for row in rows.tolist()]
        for field in fields(self):
            if field.name not in taken:
                taken[field.name] = getattr(self, field.name)[rows]
        return type(self)(**taken)

    @property
    def is_wrong(self) -> NDArray[np.bool_]:
        """Whether each image is misclassified, [N]; False where the label is unknown."""
        return (self.labels >= 0) & (self.predictions != self.labels)

    @cached_property
    def evidence_by_cluster(self) -> NDArray[np.float32]:
        """Share of each image's evidence on each cluster: [N, M] float32; rows sum to 1 or 0."""
        return self._shares(on_object=False)

    @cached_property
    def inside_by_cluster(self) -> NDArray[np.float32]:
        """Share of each image's evidence on each cluster and on the object: [N, M] float32."""
        return self._shares(on_object=True)

    @cached_property
    def evidence_by_place(self) -> NDArray[np.int64]:
        """Evidence of all images by cell and cluster, in steps of 1/255: [h, w, M] int64."""
        height, width = self.clusters.shape[1:]
        size = height * width * self.num_clusters
        sums = np.zeros([size], np.int64)
        first = np.arange(height * width).reshape(height, width) * self.num_clusters
        for block in self._blocks():
            index = (first + self.clusters[block]).ravel()
            weights = self.evidence[block].ravel()
            # Sums of small integers, so exact in floating point.
            sums += np.bincount(index, weights, minlength=size).astype(np.int64)
        return sums.reshape(height, width, self.num_clusters)

    @cached_property
    def cells_by_cluster(self) -> NDArray[np.int64]:
        """Cells of each cluster in all images: [M] int64. Cells that resemble none count nowhere.

        A cell without features has a similarity of 0 to every centroid, see `CellReader.nearest`.
        """
        counts = np.zeros([self.num_clusters], np.int64)
        for block in self._blocks():
            alike = self.clusters[block][self.similarity[block] > 0]
            counts += np.bincount(alike, minlength=self.num_clusters)
        return counts

    def _shares(self, *, on_object: bool) -> NDArray[np.float32]:
        """Return evidence [N, h, w] summed by cluster, as shares of each image's whole evidence."""
        width = self.num_clusters
        shares = np.zeros([len(self), width], np.float32)
        for block in self._blocks():
            evidence = self.evidence[block].astype(np.float64)
            count = len(evidence)
            total = evidence.sum(axis=(1, 2))[:, np.newaxis]
            if on_object:
                evidence *= self.inside[block] / 255.0
            index = np.arange(count)[:, np.newaxis, np.newaxis] * width + self.clusters[block]
            sums = np.bincount(index.ravel(), evidence.ravel(), minlength=count * width)
            np.divide(sums.reshape(count, width), total, out=shares[block], where=total > 0)
        return shares

    def _blocks(self) -> Iterator[slice]:
        """Yield slices of images with `_BLOCK` cells or clusters at most, to bound temporaries."""
        cells = math.prod(self.clusters.shape[1:])
        step = max(_BLOCK // max(cells, self.num_clusters, 1), 1)
        for start in range(0, len(self), step):
            yield slice(start, start + step)
