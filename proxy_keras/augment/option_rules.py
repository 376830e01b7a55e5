"""Rules that options of augmentations share, checked in their constructors."""

from __future__ import annotations

from collections.abc import Sequence


def check_positive(name: str, value: float) -> None:
    """Raises ValueError unless the value of an option is > 0."""
    if not value > 0:
        raise ValueError(f"`{name}` must be > 0. Received: {value}")


def check_share(name: str, value: float) -> None:
    """Raises ValueError unless the value of an option is in [0, 1]."""
    if not 0.0 <= value <= 1.0:
        raise ValueError(f"`{name}` must be in [0, 1]. Received: {value}")


def check_count(name: str, value: int) -> None:
    """Raises ValueError unless the value of an option is a whole number >= 0."""
    if value < 0 or value != int(value):
        raise ValueError(f"`{name}` must be a whole number >= 0. Received: {value}")


def checked_range(
    name: str, values: Sequence[float], low: float, high: float
) -> tuple[float, float]:
    """Two numbers that do not fall, between `low` and `high`.

    Raises:
        ValueError: They are not.
    """
    pair = tuple(float(value) for value in values)
    if len(pair) != 2 or not low <= pair[0] <= pair[1] <= high:
        raise ValueError(
            f"`{name}` must be (from, to) with {low:g} <= from <= to <= {high:g}. Received: "
            f"{values}"
        )
    return pair[0], pair[1]
