"""Cues in words, for the findings and the sections of a report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def names_of(cues: Iterable[str]) -> str:
    """Return cues in words: "cue 1", "cues 1 and 3", "cues 1, 3 and 4"."""
    *most, last = cues
    return f"cues {', '.join(most)} and {last}" if most else f"cue {last}"


def reason_in_words(cue: Mapping[str, Any], error_rate: float) -> str:
    """Return why a cue deserves a look, as the rest of a sentence; "" if it does not."""
    words = {
        "outside": f"{percent(cue['inside'])} of its evidence lies on the object",
        "errors": f"where it leads, {percent(cue['leads_wrong'])} of the images are misclassified "
        f"({error_rate:.0%} of all are)",
        "position": "it is always in the same place",
    }
    return ", and ".join(words[reason] for reason in cue["reasons"])


def percent(share: float | None) -> str:
    """Return a share in percent; "-" if it is unknown."""
    return "-" if share is None else f"{share:.0%}"
