"""CueFacts: what is known about a cue, and how suspicious that makes it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from proxy_keras.cues.cue_tree import CueTree
from proxy_keras.cues.examined import ExaminedImages

PRESENT = 0.1
"""Share of an image's evidence from which a cue counts as present in it."""

MAIN_CLASS = 0.2
"""Share of the highest class's presence from which a cue counts as one of another class too."""

MIXTURE_GAIN = 0.06
"""Gain in purity by splitting at or above which a cue is called a mixture. It is high, because
lower gains do not tell mixtures of a planted shortcut and the object from other cues."""

MIXTURE_INSIDE = 0.3
"""Difference in the halves' shares inside objects at or above which a cue is called a mixture.
With objects in a tenth of the images it finds a third of the planted mixtures, half as many again
as by chance; 0.5 finds a sixth."""

LEAST_VARIETY = 0.01
"""Purer cues than 1 minus this are all equally pure: the rest is rounding."""


@dataclass(frozen=True)
class CueFacts:
    """The facts about one cue.

    Attributes:
        name: Its name, such as "3" or "3b".
        evidence_share: Share of the evidence in an image, in [0, 1]: mean over the images that have
            evidence. Those of the shown cues sum to 1, like those of the halves of a cue to its
            own.
        cell_share: Share of all cells, in [0, 1]; cells without features belong to no cue.
        present_in: Number of images in which it holds at least `PRESENT` of the evidence.
        classes: Share of the images of each class (by true class, or predicted where the label is
            unknown) in which it is present, [K]; NaN for a class without images.
        leads_in: Number of images in which it holds the most evidence, compared with the shown
            cues that it has no cluster in common with.
        leads_wrong: Of those with a known label, the share that is misclassified; None: none. On
            held-out images where there are some.
        inside: Share of its evidence on the object, in [0, 1], in the images whose object is known;
            None: no such image has evidence on it.
        inside_images: Number of images with a known object and evidence on it.
        purity: Mean cosine similarity of its cells to their centre, in [0, 1].
        is_mixture: Whether its halves differ so much that it should be split.
        mistakes_share: Share of the evidence in a misclassified image, on average; None: there is
            none. On held-out images where there are some.
        correct_share: The same in a correctly classified image.
        position: How far its place tells it apart, in [0, 1]: 0 if its evidence is spread over the
            cells like that of all cues, near 1 if it always lies in a cell in which there is little
            of it all (Jensen-Shannon divergence in bits).
        suspicion: The order in which cues are shown; higher is more suspicious. From `position` and
            `purity` alone.
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

    @property
    def main_classes(self) -> list[int]:
        """The classes in which it is present, without those in which it is comparatively rare."""
        shares = np.nan_to_num(self.classes)
        highest = float(shares.max(initial=0.0))
        return np.flatnonzero((shares >= MAIN_CLASS * highest) & (shares > 0)).tolist()

    @property
    def known_classes(self) -> int:
        """The number of classes of which there are images."""
        return int(np.isfinite(self.classes).sum())


class FactFinder:
    """Finds the facts about cues in the examined images.

    Args:
        tree: The cues.
        images: The examined images; their labels and predictions are below `num_classes`.
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
        share = self._share(members)
        present = share >= PRESENT
        leads, wrong = self._leading(share, members)
        inside, inside_images = self._inside(members)
        mistakes, correct = self._by_outcome(share)
        position, purity = self._position(members), self._tree.purity(name)
        evidence = self.evidence_share(members)
        return CueFacts(
            name=name,
            evidence_share=evidence,
            cell_share=float(images.cells_by_cluster[members].sum() / images.clusters.size),
            present_in=int(present.sum()),
            classes=self._by_class(present),
            leads_in=leads,
            leads_wrong=wrong,
            inside=inside,
            inside_images=inside_images,
            purity=purity,
            is_mixture=self._is_mixture(name),
            mistakes_share=mistakes,
            correct_share=correct,
            position=position,
            suspicion=_suspicion(position, purity),
        )

    def evidence_share(self, members: NDArray[np.int64]) -> float:
        """Return the share of the evidence on some clusters, see `CueFacts.evidence_share`."""
        has_evidence = int(self._images.evidence_by_cluster.any(axis=1).sum())
        return float(self._share(members).sum(dtype=np.float64)) / max(has_evidence, 1)

    def inside(self, name: str) -> float | None:
        """Return `CueFacts.inside` alone.

        Raises:
            ValueError: There is no cue of this name.
        """
        return self._inside(self._tree.members(name))[0]

    def known_images(self, name: str) -> int:
        """Return the number of images with a known object in which a cue is present.

        Raises:
            ValueError: There is no cue of this name.
        """
        present = self._share(self._tree.members(name)) >= PRESENT
        return int((self._images.has_object & present).sum())

    def _share(self, members: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the share of each image's evidence on some clusters, [N]."""
        return self._images.evidence_by_cluster[:, members].sum(axis=1)

    @property
    def error_rate(self) -> float | None:
        """Share of misclassified images, of those by which mistakes are counted; None: none."""
        judged = self._images.is_wrong[self._judged]
        return float(judged.mean()) if judged.size else None

    @cached_property
    def _judged(self) -> NDArray[np.bool_]:
        """The images by which mistakes are counted: held-out ones where there are some, [N]."""
        known = self._images.labels >= 0
        held_out = known & self._images.is_held_out
        return held_out if held_out.any() else known

    @cached_property
    def _shown_shares(self) -> NDArray[np.float32]:
        """Share of each image's evidence on each cue that is shown at first: [N, cues]."""
        return np.stack(
            [self._share(self._tree.members(name)) for name in self._tree.shown], axis=1
        )

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

    def _inside(self, members: NDArray[np.int64]) -> tuple[float | None, int]:
        images = self._images
        on_cue = images.evidence_by_cluster[:, members][images.has_object]
        count = int(on_cue.any(axis=1).sum())
        if not count:
            return None, 0
        # In float64, so that evidence that is inside as a whole gives exactly 1.
        on_object = images.inside_by_cluster[:, members][images.has_object]
        share = on_object.sum(dtype=np.float64) / on_cue.sum(dtype=np.float64)
        return float(share), count

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
        first, second = (self.inside(half) for half in halves)
        return first is not None and second is not None and abs(first - second) >= MIXTURE_INSIDE

    def _position(self, members: NDArray[np.int64]) -> float:
        """Return the Jensen-Shannon divergence of a cue's evidence by cell from all evidence."""
        evidence = self._images.evidence_by_place
        own = evidence[..., members].sum(axis=-1).ravel().astype(np.float64)
        every = self._every_place
        if not own.any():
            return 0.0
        own, every = own / own.sum(), every / every.sum()
        mean = (own + every) / 2
        divergence = (_entropy(mean) - (_entropy(own) + _entropy(every)) / 2) / np.log(2)
        # Rounding takes equal distributions below 0.
        return float(np.clip(divergence, 0.0, 1.0))

    @cached_property
    def _every_place(self) -> NDArray[np.float64]:
        """Evidence of all cues by cell, [h * w]."""
        return self._images.evidence_by_place.sum(axis=-1).ravel().astype(np.float64)


def _entropy(shares: NDArray[np.float64]) -> float:
    return float(-(shares[shares > 0] * np.log(shares[shares > 0])).sum())


def _suspicion(position: float, purity: float) -> float:
    """Return how suspicious a cue is: its place is fixed, and it looks the same everywhere.

    The Jensen-Shannon distance of its place, divided by the variety of its cells. Evidence in
    mistakes is left out: a shortcut that fits its class in every image is never in a mistake, and
    would be shown last.
    """
    return math.sqrt(max(position, 0.0)) / max(1.0 - purity, LEAST_VARIETY)
