"""Validation of the pixel range that a model takes."""

from __future__ import annotations


def check_value_range(value_range: tuple[float, float]) -> None:
    """Raise ValueError unless `value_range` is (low, high) with low < high."""
    if len(value_range) != 2 or not value_range[0] < value_range[1]:
        raise ValueError(f"`value_range` must be (low, high), low < high. Received: {value_range}")
