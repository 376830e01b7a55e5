"""CueFacts: what is known about a cue, and how suspicious that makes it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from proxy_keras.cues.cue_tree import CueTree
from proxy_keras.cues.examined import ExaminedImages

PRESENT = 0.1
"""Share of an image's evidence from which a cue counts as present in it."""

MIXTURE_GAIN = 0.06
"""Gain in purity by splitting at or above which a cue is called a mixture."""

MIXTURE_INSIDE = 0.5
"""Difference in the halves' shares inside objects at or above which a cue is called a mixture."""


@dataclass(frozen=True)
class CueFacts:
    """The facts about one cue.

    Attributes:
        name: Its name, such as "3" or "3b".
        evidence_share: Share of all evidence, in [0, 1].
        cell_share: Share of all cells, in [0, 1].
        present_in: Number of images in which it holds at least `PRESENT` of the evidence.
        classes: Share of the images of each class (by true class, or predicted where the label is
            unknown) in which it is present, [K]; NaN for a class without images.
        leads_in: Number of images in which it holds the most evidence of all shown cues.
        leads_wrong: Of those with a known label, the share that is misclassified; None: none. On
            held-out images where there are some.
        inside: Share of its evidence on the object, in the images whose object is known; None: no
            such image has evidence on it.
        inside_images: Number of images with a known object and evidence on it.
        purity: Mean cosine similarity of its cells to their centre, in [0, 1].
        is_mixture: Whether its halves differ so much that it should be split.
        mistakes_share: Share of the evidence in misclassified images; None: there are none.
        correct_share: Share of the evidence in the other images with a known label.
        position: How far its place tells it apart, in [0, 1]: 1 if it is always in the same cell,
            0 if its evidence is spread like that of all cues.
        suspicion: The order in which cues are shown; higher is more suspicious.
    """

    name: str
    evidence_share: float
    cell_share: float
    present_in: int
    classes: tuple[float, ...]
    leads_in: int
    leads_wrong: float | None
    inside: float | None
    inside_images: int
    purity: float
    is_mixture: bool
    mistakes_share: float | None
    correct_share: float | None
    position: float
    suspicion: float


class FactFinder:
    """Finds the facts about cues in the examined images.

    Args:
        tree: The cues.
        images: The examined images.
        num_classes: K.
    """

    def __init__(self, tree: CueTree, images: ExaminedImages, num_classes: int) -> None:
        self._tree = tree
        self._images = images
        self._num_classes = num_classes

    def facts(self, name: str) -> CueFacts:
        """Return the facts about a cue.

        Raises:
            ValueError: There is no cue of this name.
        """
        images, members = self._images, self._tree.members(name)
        share = images.evidence_by_cluster[:, members].sum(axis=1)
        present = share >= PRESENT
        leads, wrong = self._leading(share, members)
        inside, inside_images = self._inside(members, share)
        mistakes, correct = self._by_outcome(share)
        position = self._position(members)
        return CueFacts(
            name=name,
            evidence_share=float(share.mean()),
            cell_share=float(images.cells_by_cluster[members].sum() / images.clusters.size),
            present_in=int(present.sum()),
            classes=self._by_class(present),
            leads_in=leads,
            leads_wrong=wrong,
            inside=inside,
            inside_images=inside_images,
            purity=self._tree.purity(name),
            is_mixture=self._is_mixture(name),
            mistakes_share=mistakes,
            correct_share=correct,
            position=position,
            suspicion=_suspicion(mistakes, correct, position, float(share.mean())),
        )

    @cached_property
    def _judged(self) -> NDArray[np.bool_]:
        """The images by which mistakes are counted: held-out ones where there are some, [N]."""
        known = self._images.labels >= 0
        held_out = known & self._images.is_held_out
        return held_out if held_out.any() else known

    @cached_property
    def _shown_shares(self) -> NDArray[np.float32]:
        """Share of each image's evidence on each cue that is shown at first: [N, cues]."""
        by_cluster = self._images.evidence_by_cluster
        members = (self._tree.members(name) for name in self._tree.shown)
        return np.stack([by_cluster[:, inside].sum(axis=1) for inside in members], axis=1)

    def _leading(
        self, share: NDArray[np.float32], members: NDArray[np.int64]
    ) -> tuple[int, float | None]:
        """Return in how many images a cue leads, and the share of them that is misclassified."""
        inside = set(members.tolist())
        others = [
            column
            for column, name in enumerate(self._tree.shown)
            if not inside & set(self._tree.members(name).tolist())
        ]
        highest = self._shown_shares[:, others].max(axis=1, initial=0)
        leads = (share > 0) & (share >= highest)
        judged = leads & self._judged
        wrong = float(self._images.is_wrong[judged].mean()) if judged.any() else None
        return int(leads.sum()), wrong

    def _inside(
        self, members: NDArray[np.int64], share: NDArray[np.float32]
    ) -> tuple[float | None, int]:
        known = self._images.has_object & (share > 0)
        if not known.any():
            return None, 0
        inside = self._images.inside_by_cluster[known][:, members].sum()
        return float(inside / share[known].sum()), int(known.sum())

    def _by_class(self, present: NDArray[np.bool_]) -> tuple[float, ...]:
        images = self._images
        classes = np.where(images.labels >= 0, images.labels, images.predictions)
        totals = np.bincount(classes, minlength=self._num_classes).astype(np.float64)
        found = np.bincount(classes[present], minlength=self._num_classes)
        shares = np.divide(found, totals, out=np.full_like(totals, np.nan), where=totals > 0)
        return tuple(shares.tolist())

    def _by_outcome(self, share: NDArray[np.float32]) -> tuple[float | None, float | None]:
        wrong = self._judged & self._images.is_wrong
        right = self._judged & ~self._images.is_wrong
        return (
            float(share[wrong].mean()) if wrong.any() else None,
            float(share[right].mean()) if right.any() else None,
        )

    def _is_mixture(self, name: str) -> bool:
        halves = self._tree.halves_of(name)
        if not halves:
            return False
        counts = self._tree.clusters.counts
        weights = [float(counts[self._tree.members(half)].sum()) for half in halves]
        purities = [self._tree.purity(half) for half in halves]
        split = sum(w * p for w, p in zip(weights, purities, strict=True)) / sum(weights)
        if split - self._tree.purity(name) >= MIXTURE_GAIN:
            return True
        by_cluster = self._images.evidence_by_cluster
        members = [self._tree.members(half) for half in halves]
        inside = [self._inside(half, by_cluster[:, half].sum(axis=1))[0] for half in members]
        first, second = inside
        return first is not None and second is not None and abs(first - second) >= MIXTURE_INSIDE

    def _position(self, members: NDArray[np.int64]) -> float:
        """Return the Jensen-Shannon divergence of a cue's evidence by cell from all evidence."""
        evidence = self._images.evidence.astype(np.float64)
        own = np.where(np.isin(self._images.clusters, members), evidence, 0).sum(axis=0).ravel()
        every = evidence.sum(axis=0).ravel()
        if not own.any():
            return 0.0
        own, every = own / own.sum(), every / every.sum()
        mean = (own + every) / 2
        return float((_entropy(mean) - (_entropy(own) + _entropy(every)) / 2) / np.log(2))


def _entropy(shares: NDArray[np.float64]) -> float:
    return float(-(shares[shares > 0] * np.log(shares[shares > 0])).sum())


def _suspicion(
    mistakes: float | None, correct: float | None, position: float, evidence: float
) -> float:
    excess = 0.0 if mistakes is None or correct is None else mistakes - correct
    return excess + position * evidence
