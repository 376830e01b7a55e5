"""Schedules made for one number of epochs, in another."""

from __future__ import annotations

import dataclasses
import math
import warnings

from proxy_keras.settings.schedule import Every, Plateau, Schedule, Segments, parse


def scaled(schedule: str, *, made_for: int, epochs: int) -> str:
    """The schedule with its steps at the same share of a training of another length.

    Args:
        schedule: As `--schedule` takes it.
        made_for: Epochs that `every` and `plateau` are meant for. A schedule such as "5,p,4" says
            its own number.
        epochs: Epochs of the training.

    Returns:
        The text of a schedule. Where nothing changes, it is the one that was given.

    Raises:
        ValueError: The text is not a schedule.
    """
    parsed: Schedule = parse(schedule)
    if isinstance(parsed, Segments):
        return _scaled_segments(parsed, schedule, epochs)
    if made_for == epochs:
        return schedule
    share = epochs / made_for
    if isinstance(parsed, Every):
        return str(dataclasses.replace(parsed, n=_at_least_one(parsed.n * share)))
    if isinstance(parsed, Plateau):
        return str(dataclasses.replace(parsed, patience=_at_least_one(parsed.patience * share)))
    raise ValueError(f"This kind of schedule cannot be scaled: {schedule!r}")


def has_steps(schedule: str, epochs: int) -> bool:
    """Whether proxies may come in a training of this length.

    Raises:
        ValueError: The schedule does not fit.
    """
    parsed: Schedule = parse(schedule)
    if isinstance(parsed, Plateau):
        return parsed.patience < epochs
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        plan = parsed.plan(epochs)
    # What is made at the very end is never trained on.
    return any(step + 1 < epochs for step in plan.steps)


def _at_least_one(value: float) -> int:
    return max(1, math.floor(value + 0.5))


def _scaled_segments(segments: Segments, text: str, epochs: int) -> str:
    """Segments with each `p` and `c` after the same share of the epochs."""
    position, steps, clears = 0, [], []
    for part in segments.parts:
        if part == "c":
            clears.append(position)
        elif part == "p":
            position += 1
            steps.append(position)
        else:
            position += int(part)
    if position == epochs:
        return text
    share = epochs / position
    new_steps = {
        min(_at_least_one(step * share), epochs - 1 if step < position else epochs)
        for step in steps
    } - {0}
    new_clears = set()
    for clear in clears:
        at = math.floor(clear * share + 0.5)
        # Cleared in the moment in which they are made, proxies would never be seen.
        at += clear not in steps and at in new_steps
        if at < epochs:
            new_clears.add(at)
    return _written(new_steps, new_clears, epochs)


def _written(steps: set[int], clears: set[int], epochs: int) -> str:
    """The text of steps at the end of some epochs (from 1) and clears after some others."""
    parts: list[str] = []
    done = 0

    def plain(until: int) -> None:
        nonlocal done
        if until > done:
            parts.append(str(until - done))
            done = until

    for at in sorted(steps | clears):
        if at in steps:
            plain(at - 1)
            parts.append("p")
            done = at
        if at in clears:
            plain(at)
            parts.append("c")
    plain(epochs)
    return ",".join(parts)
