"""Checks of option values, shared by the constructors of the augmentations."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from numbers import Real
from typing import Any


def is_number(value: object) -> bool:
    """Return whether an option is a finite number, and not a bool."""
    return not isinstance(value, bool) and isinstance(value, Real) and math.isfinite(value)


def items(values: object) -> tuple[Any, ...]:
    """Return the items of a sequence option; an empty tuple if it is not a sequence."""
    return tuple(values) if isinstance(values, Iterable) and not isinstance(values, str) else ()


def check_number(
    name: str, value: float, low: float = float("-inf"), high: float = float("inf")
) -> None:
    """Raise ValueError unless an option is a number from `low` to `high`."""
    if not (is_number(value) and low <= value <= high):
        if low == float("-inf"):
            rule = "a number"
        elif high == float("inf"):
            rule = f"a number >= {low:g}"
        else:
            rule = f"in [{low:g}, {high:g}]"
        raise ValueError(f"`{name}` must be {rule}. Received: {value!r}")


def check_positive(name: str, value: float, high: float = float("inf")) -> None:
    """Raise ValueError unless an option is a number > 0 and at most `high`."""
    if not (is_number(value) and 0 < value <= high):
        rule = "> 0" if high == float("inf") else f"in (0, {high:g}]"
        raise ValueError(f"`{name}` must be {rule}. Received: {value!r}")


def check_share(name: str, value: float) -> None:
    """Raise ValueError unless an option is in [0, 1]."""
    check_number(name, value, 0.0, 1.0)


def check_count(name: str, value: int, low: int = 0) -> None:
    """Raise ValueError unless an option is a whole number >= `low`."""
    if not (is_number(value) and value >= low and value == int(value)):
        raise ValueError(f"`{name}` must be a whole number >= {low}. Received: {value!r}")


def check_choice(name: str, value: object, choices: Sequence[str]) -> None:
    """Raise ValueError unless an option is one of the choices."""
    if value not in choices:
        raise ValueError(f"`{name}` must be one of {', '.join(choices)}. Received: {value!r}")


def check_flag(name: str, value: bool) -> None:
    """Raise ValueError unless an option is True or False."""
    if not isinstance(value, bool):
        raise ValueError(f"`{name}` must be True or False. Received: {value!r}")


def checked_counts(name: str, values: Sequence[int], low: int) -> tuple[int, ...]:
    """Return a non-empty sequence of whole numbers >= `low` as a tuple, or raise ValueError."""
    numbers = items(values)
    if not numbers:
        raise ValueError(
            f"`{name}` must be whole numbers >= {low}, such as ({low}, {low + 1}). Received: "
            f"{values!r}"
        )
    for value in numbers:
        check_count(name, value, low)
    return tuple(int(value) for value in numbers)


def checked_positives(name: str, values: object) -> tuple[float, ...]:
    """Return a sequence of numbers > 0 as a tuple, or raise ValueError."""
    if not isinstance(values, Iterable) or isinstance(values, str):
        raise ValueError(f"`{name}` must be numbers > 0, such as (3, 5). Received: {values!r}")
    for value in values:
        check_positive(name, value)
    return tuple(float(value) for value in values)


def checked_range(
    name: str, values: Sequence[float], low: float, high: float
) -> tuple[float, float]:
    """Return (from, to) with `low` <= from <= to <= `high`, or raise ValueError."""
    pair = items(values)
    is_pair = len(pair) == 2 and all(map(is_number, pair))
    if not is_pair or not low <= pair[0] <= pair[1] <= high:
        raise ValueError(
            f"`{name}` must be (from, to) with {low:g} <= from <= to <= {high:g}. Received: "
            f"{values!r}"
        )
    return float(pair[0]), float(pair[1])
