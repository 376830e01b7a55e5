"""ExaminedImages: the cells of the images in which cues were found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray


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
        """Return the images of all parts, in order. The parts have the same clusters."""
        first = parts[0]
        joined: dict[str, Any] = {"num_clusters": first.num_clusters}
        joined["example_ids"] = [name for part in parts for name in part.example_ids]
        for field in fields(first):
            if field.name not in joined:
                joined[field.name] = np.concatenate([getattr(part, field.name) for part in parts])
        return cls(**joined)

    @property
    def is_wrong(self) -> NDArray[np.bool_]:
        """Whether each image is misclassified, [N]; False where the label is unknown."""
        return (self.labels >= 0) & (self.predictions != self.labels)

    @cached_property
    def evidence_by_cluster(self) -> NDArray[np.float32]:
        """Share of each image's evidence on each cluster: [N, M] float32; rows sum to 1 or 0."""
        return self._shares(self.evidence)

    @cached_property
    def inside_by_cluster(self) -> NDArray[np.float32]:
        """Share of each image's evidence on each cluster and on the object: [N, M] float32."""
        weighted = self.evidence * (self.inside.astype(np.float32) / 255)
        return self._shares(weighted)

    @cached_property
    def cells_by_cluster(self) -> NDArray[np.int64]:
        """Cells of each cluster in all images: [M] int64."""
        return np.bincount(self.clusters.ravel(), minlength=self.num_clusters).astype(np.int64)

    def _shares(self, evidence: NDArray[np.generic]) -> NDArray[np.float32]:
        """Return evidence [N, h, w] summed by cluster, as shares of each image's whole evidence."""
        count, width = len(self), self.num_clusters
        rows = np.repeat(np.arange(count), self.clusters[0].size if count else 0)
        index = rows * width + self.clusters.ravel()
        sums = np.bincount(index, weights=evidence.ravel(), minlength=count * width)
        sums = sums.reshape(count, width)
        total = self.evidence.sum(axis=(1, 2), dtype=np.float64)[:, np.newaxis]
        return np.divide(sums, total, out=np.zeros_like(sums), where=total > 0).astype(np.float32)
