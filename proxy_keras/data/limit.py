"""Takes a smaller part of a split, of each class its share."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from proxy_keras.data.split_table import SplitTable


def limited(
    places: NDArray[np.int64], table: SplitTable, count: int, *, seed: int, what: str
) -> NDArray[np.int64]:
    """Some of the examples of a split, stratified by class.

    Within a class the examples are ordered by a hash of seed and example id, and each is given the
    middle of its share of the class: the i-th of n (from 0) stands at (i + 1/2) / n. The `count`
    examples that stand first are taken, so that a smaller count takes a part of a larger one's.

    Args:
        places: [n] int64 positions in the table, ascending.
        table: The examples.
        count: How many, at least one per class and at most n.
        seed: Another seed takes others.
        what: What they are, for the message.

    Returns:
        [count] int64 of `places`, ascending.

    Raises:
        ValueError: `count` is out of range.
    """
    by_class: dict[int, list[int]] = {}
    for place in places.tolist():
        by_class.setdefault(int(table.class_ids[place]), []).append(place)
    if not len(by_class) <= count <= len(places):
        raise ValueError(
            f"`limit` must be between {len(by_class)} (one per class) and {len(places)}, the "
            f"number of {what}. Received: {count}"
        )

    def hashed(place: int) -> bytes:
        return hashlib.sha256(f"{seed}:limit:{table.example_ids[place]}".encode()).digest()

    ranked = []
    for members in by_class.values():
        members.sort(key=hashed)
        ranked += [
            (0.0 if i == 0 else (i + 0.5) / len(members), hashed(place), place)
            for i, place in enumerate(members)
        ]
    return np.array(sorted(place for _, _, place in sorted(ranked)[:count]), np.int64)
