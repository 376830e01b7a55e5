"""Checks and counts of groups, which several methods need."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

UNKNOWN = -1
"""Group id of an example whose group is not known."""


def group_sizes(groups: NDArray[np.integer], *, count: int) -> NDArray[np.int64]:
    """Return the number of examples of each group, [G].

    Args:
        groups: [N] group ids in [0, G), or `UNKNOWN`.
        count: G.

    Raises:
        ValueError: A group has no example.
    """
    sizes = np.bincount(groups[groups != UNKNOWN], minlength=count)
    if missing := np.flatnonzero(sizes == 0).tolist():
        raise ValueError(
            f"Each group needs an example whose group is known. Received: none of the group ids "
            f"{missing}."
        )
    return sizes


def worst_group_accuracy(
    is_correct: NDArray[np.bool_], groups: NDArray[np.integer], *, count: int
) -> float:
    """Return the lowest share of correct examples [N] among the groups [N] that occur."""
    known = groups != UNKNOWN
    sizes = np.bincount(groups[known], minlength=count)
    correct = np.bincount(groups[known & is_correct], minlength=count)
    return float((correct[sizes > 0] / sizes[sizes > 0]).min())
