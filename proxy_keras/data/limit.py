"""A smaller, stratified subset of a split."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from proxy_keras.data.split_table import SplitTable


def stratified_subset(
    positions: NDArray[np.int64], table: SplitTable, count: int, *, seed: int, what: str
) -> NDArray[np.int64]:
    """Choose examples of a split, stratified by class.

    Within a class, examples are ordered by a hash of seed and example id; the i-th of n (from 0)
    has rank (i + 1/2) / n, the first one rank 0. The `count` examples of lowest rank are chosen, so
    a smaller count gives a subset of a larger one.

    Args:
        positions: [n] int64 positions in the table, ascending.
        table: The examples.
        count: Number of examples, at least one per class and at most n.
        seed: Keys the choice.
        what: What the examples are called in the error message.

    Returns:
        [count] int64, the chosen positions, ascending.

    Raises:
        TypeError: `count` is no integer.
        ValueError: `count` is out of range.
    """
    by_class: dict[int, list[int]] = {}
    for position in positions.tolist():
        by_class.setdefault(int(table.class_ids[position]), []).append(position)
    if isinstance(count, bool) or not isinstance(count, (int, np.integer)):
        raise TypeError(f"`limit` must be an integer. Received: {count!r}")
    if not len(by_class) <= count <= len(positions):
        raise ValueError(
            f"`limit` must be between {len(by_class)} (one per class) and {len(positions)}, the "
            f"number of {what}. Received: {count}"
        )

    def hashed(position: int) -> bytes:
        return hashlib.sha256(f"{seed}:limit:{table.example_ids[position]}".encode()).digest()

    ranked = []
    for members in by_class.values():
        members.sort(key=hashed)
        ranked += [
            (0.0 if i == 0 else (i + 0.5) / len(members), hashed(position), position)
            for i, position in enumerate(members)
        ]
    return np.array(sorted(position for _, _, position in sorted(ranked)[:count]), np.int64)
