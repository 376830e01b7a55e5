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
        statements: The names of cues, and the verdict that they were given together; None takes
            earlier verdicts back.
    """

    statements: tuple[tuple[tuple[str, ...], str | None], ...] = field(default=())

    @property
    def said(self) -> tuple[tuple[str, str | None], ...]:
        """Pairs of a cue's name and its verdict, in the order in which they were said."""
        return tuple((name, verdict) for names, verdict in self.statements for name in names)

    @property
    def current(self) -> Mapping[str, str]:
        """The latest verdict of each cue that has one."""
        latest = dict(self.said)
        return {name: verdict for name, verdict in latest.items() if verdict is not None}

    def say(self, names: Iterable[str], verdict: str | None) -> Self:
        """Return the verdicts with one more for each cue; None takes it back.

        Raises:
            ValueError: There is no such verdict.
        """
        if verdict is not None and verdict not in VERDICTS:
            raise ValueError(
                f"A verdict must be one of {', '.join(VERDICTS)}, or None to take it back. "
                f"Received: {verdict!r}"
            )
        names = tuple(names)
        return type(self)((*self.statements, (names, verdict))) if names else self

    def undo(self) -> Self:
        """Return the verdicts before the last `say` of any cue; the same if there are none."""
        return type(self)(self.statements[:-1])

    def to_json(self) -> list[list[Any]]:
        """Return JSON values: pairs of a cue's name, or a list of names, and the verdict."""
        return [
            [names[0] if len(names) == 1 else list(names), verdict]
            for names, verdict in self.statements
        ]

    @classmethod
    def from_json(cls, values: Any) -> Self:
        """Return what `to_json` gave.

        Raises:
            ValueError: The values are something else.
        """
        if not isinstance(values, list) or not all(_is_statement(pair) for pair in values):
            raise ValueError(
                "Verdicts must be a list of pairs: the name of a cue, or a list of names, and one "
                f"of {', '.join(VERDICTS)}, or null."
            )
        return cls(
            tuple(
                ((names,) if isinstance(names, str) else tuple(names), verdict)
                for names, verdict in values
            )
        )


def _is_statement(pair: Any) -> bool:
    if not isinstance(pair, list) or len(pair) != 2:
        return False
    names, verdict = pair
    is_names = isinstance(names, list) and names and all(isinstance(name, str) for name in names)
    is_verdict = verdict is None or (isinstance(verdict, str) and verdict in VERDICTS)
    return (isinstance(names, str) or bool(is_names)) and is_verdict
