"""Which images show a cue: those nearest to its centre, and others drawn at random."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from proxy_keras.cues.cues import MASK_EVIDENCE
from proxy_keras.cues.examined import ExaminedImages
from proxy_keras.cues.facts import PRESENT

EACH = 6
"""Images of either kind at a time."""


@dataclass(frozen=True)
class Example:
    """An image that shows a cue.

    Attributes:
        image: Its index among the examined images.
        is_nearest: Whether it is one of the nearest to the centre; otherwise it was drawn.
        row, column: The cell that shows the cue best.
        cells: [h, w] bool, the cells of the cue that hold evidence.
    """

    image: int
    is_nearest: bool
    row: int
    column: int
    cells: NDArray[np.bool_]


def choose_examples(
    images: ExaminedImages, members: NDArray[np.int64], *, page: int = 0, seed: int = 0
) -> list[Example]:
    """Return up to `EACH` examples of either kind; each image is shown once over all pages.

    Args:
        images: The examined images.
        members: The clusters of the cue.
        page: 0: the first examples; 1: the next ones; ...
        seed: Keys the draw.
    """
    is_member = np.zeros([images.num_clusters], bool)
    is_member[members] = True
    on_cue = is_member[images.clusters]
    evidence = np.where(on_cue, images.evidence, 0).astype(np.int32)
    nearness = evidence * images.similarity
    best = nearness.max(axis=(1, 2))
    nearest = [int(at) for at in np.argsort(-best, kind="stable") if best[at] > 0]
    present = images.evidence_by_cluster[:, members].sum(axis=1) >= PRESENT
    drawn = np.random.default_rng([seed, *members.tolist()]).permutation(np.flatnonzero(present))
    chosen = _deal(nearest, drawn.tolist(), page)
    threshold = round(255 * MASK_EVIDENCE)
    examples = []
    for at, is_nearest in chosen:
        scores = nearness[at] if is_nearest else evidence[at]
        row, column = divmod(int(scores.argmax()), scores.shape[1])
        cells = on_cue[at] & (images.evidence[at] >= threshold)
        cells[row, column] = True
        examples.append(Example(at, is_nearest, row, column, cells))
    return examples


def _deal(nearest: list[int], drawn: list[int], page: int) -> list[tuple[int, bool]]:
    """Return the images of a page: the next of either list that were not dealt before."""
    dealt: set[int] = set()
    hands: list[tuple[int, bool]] = []
    for _ in range(page + 1):
        hands = []
        for images, is_nearest in ((nearest, True), (drawn, False)):
            hand = [at for at in images if at not in dealt][:EACH]
            dealt.update(hand)
            hands += [(at, is_nearest) for at in hand]
    return hands
