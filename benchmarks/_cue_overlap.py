"""How well clusters of cells agree with what is planted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from _planted_cues import PATCH_SIDE, Cells
from numpy.typing import NDArray

from proxy_keras.cues.cues import MASK_EVIDENCE


class Overlap(NamedTuple):
    """How a mask of cells agrees with what is planted.

    Attributes:
        iou: Intersection over union with it, by area.
        covered: Share of its area in the mask.
        object_hit: Share of the object's area in the mask.
    """

    iou: float
    covered: float
    object_hit: float

    def __str__(self) -> str:
        """Return all three in per cent."""
        return f"{self.iou:.0%} / {self.covered:.0%} / {self.object_hit:.0%}"


class ByImages(NamedTuple):
    """How a cluster agrees with images that have a patch, whose place in them is not known.

    Attributes:
        purity: Share of the cluster's cells in such images.
        reached: Share of these images that have a cell of it.
    """

    purity: float
    reached: float

    def __str__(self) -> str:
        """Return both in per cent."""
        return f"{self.purity:.0%} of its cells, {self.reached:.0%} of the images"


def overlap(cells: Cells, mask: NDArray[np.bool_]) -> Overlap:
    """Compare a mask of cells [N, h, w] with what is planted."""
    inter, total = cells.planted[mask].sum(), cells.planted.sum()
    union = total + (1 - cells.planted[mask]).sum()
    hit = cells.inside[mask].sum() / max(cells.inside.sum(), 1)
    return Overlap(float(inter / union), float(inter / total), float(hit))


def best_set(cells: Cells, labels: NDArray[np.int64], mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the clusters whose cells in `mask` have together the highest IoU with the patch.

    By share of the patch, the best set is the first so many clusters: a larger share raises the
    ratio of intersection and union more.
    """
    count = labels.max() + 1
    on = np.bincount(labels[mask], cells.planted[mask], count)
    off = np.bincount(labels[mask], 1 - cells.planted[mask], count)
    order = np.argsort(-on / np.maximum(on + off, 1e-9), kind="stable")
    iou = np.cumsum(on[order]) / (cells.planted.sum() + np.cumsum(off[order]))
    return order[: iou.argmax() + 1]


def oracle(cells: Cells, labels: NDArray[np.int64], evidence: float) -> Overlap:
    """Return the overlap of the best set of clusters."""
    mask = cells.evidence >= evidence
    return overlap(cells, mask & np.isin(labels, best_set(cells, labels, mask)))


def mask_evidence(name: str) -> float:
    """Return the evidence from which cells count: all of them where a background is planted."""
    return 0.0 if name == "waterbirds" else MASK_EVIDENCE


def best(name: str, cells: Cells, labels: NDArray[np.int64]) -> tuple[Overlap | ByImages, float]:
    """Return the overlap of the best set, and how many grey levels of a patch it finds."""
    if name == "isic":
        return by_images(cells, labels), 0.0
    mask = cells.evidence >= mask_evidence(name)
    mask &= np.isin(labels, best_set(cells, labels, mask))
    return overlap(cells, mask), levels_found(cells, mask) if name in PATCH_SIDE else 0.0


def levels_found(cells: Cells, mask: NDArray[np.bool_]) -> float:
    """Return how many grey levels of the corner patch have at least half of it in the mask."""
    inside = (cells.planted * mask).sum(axis=(1, 2))
    whole = cells.planted.sum(axis=(1, 2))
    return sum(
        inside[cells.level == level].sum() >= 0.5 * whole[cells.level == level].sum()
        for level in np.unique(cells.level)
    )


def by_images(cells: Cells, labels: NDArray[np.int64]) -> ByImages:
    """Return how the best cluster agrees with the images that have a calibration patch."""
    hot = cells.evidence >= MASK_EVIDENCE
    with_patch = cells.planted.any(axis=(1, 2))
    scores = []
    for cluster in np.unique(labels[hot]):
        mask = hot & (labels == cluster)
        purity = mask[with_patch].sum() / mask.sum()
        reached = mask[with_patch].any(axis=(1, 2)).mean()
        scores.append((2 * purity * reached / max(purity + reached, 1e-9), purity, reached))
    return ByImages(*max(scores)[1:])


def mean(found: Sequence[Overlap | ByImages]) -> Overlap | ByImages:
    """Return the mean of each number."""
    return type(found[0])(*np.mean(found, axis=0))


def means(found: Sequence[tuple[Overlap | ByImages, float]]) -> list[str]:
    """Return the mean overlap and the mean number of levels as text."""
    overlaps, levels = zip(*found, strict=True)
    return [str(mean(overlaps)), f"{np.mean(levels):.1f}" if any(levels) else ""]
