"""Reads the answers of the image route."""

from __future__ import annotations

from typing import Any


def names(answer: Any) -> list[str]:
    """The classes that an answer names, the likeliest first."""
    return [one["class"] for one in answer.json()["predictions"]]
