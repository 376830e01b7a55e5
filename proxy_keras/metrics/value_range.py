"""Checks the range of images that a model takes."""

from __future__ import annotations


def check_value_range(value_range: tuple[float, float]) -> None:
    """Returns if this is a lowest and a highest value.

    Raises:
        ValueError: It is not.
    """
    if len(value_range) != 2 or not value_range[0] < value_range[1]:
        raise ValueError(f"`value_range` must be (low, high), low < high. Received: {value_range}")
