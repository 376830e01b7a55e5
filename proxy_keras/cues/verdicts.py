"""Verdicts: what a person said of each cue, with undo."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

OBJECT, NOT_OBJECT, MIXTURE = "object", "not_object", "mixture"
VERDICTS = (OBJECT, NOT_OBJECT, MIXTURE)


@dataclass(frozen=True)
class Verdicts:
    """What was said of each cue, in the order in which it was said. A new verdict makes a new set.

    Attributes:
        said: Pairs of a cue's name and its verdict; None takes earlier verdicts back.
    """

    said: tuple[tuple[str, str | None], ...] = field(default=())

    @property
    def current(self) -> Mapping[str, str]:
        """The verdict of each cue that has one."""
        latest = dict(self.said)
        return {name: verdict for name, verdict in latest.items() if verdict is not None}

    def say(self, names: Iterable[str], verdict: str | None) -> Self:
        """Return the verdicts with one more for each cue; None takes it back.

        Raises:
            ValueError: There is no such verdict.
        """
        if verdict is not None and verdict not in VERDICTS:
            raise ValueError(
                f"A verdict must be one of {', '.join(VERDICTS)}. Received: {verdict!r}"
            )
        return type(self)((*self.said, *((name, verdict) for name in names)))

    def undo(self) -> Self:
        """Return the verdicts without the last one; the same if there are none."""
        return type(self)(self.said[:-1])

    def to_json(self) -> list[list[Any]]:
        """Return the verdicts as JSON values."""
        return [list(pair) for pair in self.said]

    @classmethod
    def from_json(cls, values: Any) -> Self:
        """Return what `to_json` gave.

        Raises:
            ValueError: The values are something else.
        """
        is_pairs = isinstance(values, list) and all(
            isinstance(pair, list)
            and len(pair) == 2
            and isinstance(pair[0], str)
            and (pair[1] is None or pair[1] in VERDICTS)
            for pair in values
        )
        if not is_pairs:
            raise ValueError(
                f"Verdicts must be pairs of a cue's name and one of {', '.join(VERDICTS)}."
            )
        return cls(tuple((name, verdict) for name, verdict in values))
