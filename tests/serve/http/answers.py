"""Answers of the image route."""

from __future__ import annotations

from typing import Any


def names(answer: Any) -> list[str]:
    """Return the predicted classes, most probable first."""
    return [one["class"] for one in answer.json()["predictions"]]
