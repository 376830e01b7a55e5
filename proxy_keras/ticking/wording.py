"""Facts about cues in plain words."""

from __future__ import annotations

from collections.abc import Sequence

from proxy_keras.cues.facts import CueFacts

SAME_PLACE, SIMILAR_PLACE = 0.5, 0.25
"""How far its place tells a cue apart (`CueFacts.position`) where it is called always, or mostly,
in the same place."""

MOST_NAMED = 5
"""Largest number of classes that are named."""


def describe(facts: CueFacts, classes: Sequence[str] | None, error_rate: float | None) -> list[str]:
    """Return sentences on a cue, the most important first.

    Args:
        facts: The facts.
        classes: Names of the classes; None: unknown.
        error_rate: Share of all answers that are wrong; None: unknown.
    """
    lines = [f"{percent(facts.evidence_share)} of what the network looks at."]
    if facts.inside is not None:
        images = count(facts.inside_images, "image")
        lines.append(
            f"{percent(facts.inside)} of it lies on the object ({images} where that is known)."
        )
    if facts.leads_wrong is not None:
        everywhere = "" if error_rate is None else f" ({percent(error_rate)} of all are)"
        lines.append(
            f"Where it leads, {percent(facts.leads_wrong)} of the answers are wrong{everywhere}."
        )
    lines.append(f"In {count(facts.present_in, 'image')}, {_classes(facts, classes)}.")
    if facts.position >= SIMILAR_PLACE:
        often = "Always" if facts.position >= SAME_PLACE else "Mostly"
        lines.append(f"{often} in the same place.")
    if facts.is_mixture:
        lines.append("It looks like a mixture of two things: split it.")
    return lines


def _classes(facts: CueFacts, classes: Sequence[str] | None) -> str:
    main, total = facts.main_classes, facts.known_classes
    if not main:
        return "in no class"
    if len(main) == total and total > 1:
        return "in both classes" if total == 2 else f"in all {total} classes"
    names = [str(number) if classes is None else classes[number] for number in main]
    shown = ", ".join(names[:MOST_NAMED])
    more = "" if len(names) <= MOST_NAMED else f" and {len(names) - MOST_NAMED} more"
    return f"in {len(main)} of {count(total, 'class', 'classes')}: {shown}{more}"


def percent(share: float) -> str:
    """Return a share in percent; "<1%" for one that is not zero and would be rounded to it."""
    text = f"{share:.0%}"
    return "<1%" if text == "0%" and share > 0.0 else text


def count(number: int, one: str, many: str | None = None) -> str:
    """Return a number with its noun."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
