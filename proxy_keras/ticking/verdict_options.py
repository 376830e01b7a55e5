"""Verdicts that are given as options of the command."""

from __future__ import annotations

from collections.abc import Sequence

from proxy_keras.cues.cues import Cues
from proxy_keras.cues.verdicts import MIXTURE, NOT_OBJECT, OBJECT
from proxy_keras.ticking.options import CueOptions

WORDS = {OBJECT: "the object", NOT_OBJECT: "not the object", MIXTURE: "a mixture", None: "open"}
"""What each verdict says of a cue; None: nothing."""


def give_verdicts(cues: Cues, options: CueOptions) -> list[str]:
    """Give the verdicts of the options, and return lines on what they changed.

    Raises:
        ValueError: There is no cue of one of the names, or no object is known. Then the cues may
            have changed, so do not save them.
    """
    lines = []
    if options.undo:
        last = last_said(cues)
        lines.append("There is no verdict to take back." if last is None else f"Took back: {last}.")
        cues.undo()
    for names, verdict in (
        (options.untick, None),
        (options.object, OBJECT),
        (options.mixture, MIXTURE),
        (options.tick, NOT_OBJECT),
    ):
        lines += say(cues, names, verdict)
    if options.tick_outside is not None:
        before = cues.verdicts
        outside = cues.tick_outside(options.tick_outside)
        # Those that are ticked already need no second verdict.
        cues.verdicts = before
        lines += say(cues, outside, NOT_OBJECT)
        if not outside:
            lines.append(
                f"No cue has less than {options.tick_outside:.0%} of its evidence on the object."
            )
    return lines


def say(cues: Cues, names: Sequence[str], verdict: str | None) -> list[str]:
    """Give a verdict to those cues that lack it, and return a line on them; [] if there are none.

    Raises:
        ValueError: There is no cue of one of the names; then nothing is said.
    """
    for name in names:
        cues.tree.node(name)
    current = cues.verdicts.current
    changed = [name for name in names if current.get(name) != verdict]
    cues.say(changed, verdict)
    return [f"Said of {', '.join(changed)}: {WORDS[verdict]}."] if changed else []


def last_said(cues: Cues) -> str | None:
    """Return in words what was said last, of one cue or several; None: nothing."""
    if not cues.verdicts.statements:
        return None
    names, verdict = cues.verdicts.statements[-1]
    return f"{'cue' if len(names) == 1 else 'cues'} {', '.join(names)}: {WORDS[verdict]}"
