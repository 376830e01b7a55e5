"""Schedules rescaled to another number of epochs."""

from __future__ import annotations

import dataclasses
import itertools
import math
import warnings

from proxy_keras.settings.schedule import Every, Plateau, Schedule, Segments, parse


def rescale(schedule: str, *, made_for: int, epochs: int) -> str:
    """Return the schedule with its steps at the same relative times of a run of other length.

    Args:
        schedule: As for `--schedule`.
        made_for: Number of epochs that `every` and `plateau` are meant for. A schedule such as
            "5,p,4" defines its own.
        epochs: Number of epochs of the run.

    Returns:
        The text of a schedule; the given text if nothing changes.

    Raises:
        ValueError: The text is not a schedule.
    """
    parsed: Schedule = parse(schedule)
    if isinstance(parsed, Segments):
        return _rescale_segments(parsed, schedule, epochs)
    if made_for == epochs:
        return schedule
    ratio = epochs / made_for
    if isinstance(parsed, Every):
        return str(dataclasses.replace(parsed, n=_round_up_to_one(parsed.n * ratio)))
    if isinstance(parsed, Plateau):
        return str(dataclasses.replace(parsed, patience=_round_up_to_one(parsed.patience * ratio)))
    raise ValueError(f"This kind of schedule cannot be rescaled: {schedule!r}")


def has_steps(schedule: str, epochs: int) -> bool:
    """Return whether the schedule can make proxies in a run of this length.

    Raises:
        ValueError: The schedule does not fit the number of epochs.
    """
    parsed: Schedule = parse(schedule)
    if isinstance(parsed, Plateau):
        return parsed.patience < epochs
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        plan = parsed.plan(epochs)
    # Proxies made in the last epoch are never trained on.
    return any(step + 1 < epochs for step in plan.steps)


def _round_up_to_one(value: float) -> int:
    """Round to the nearest integer, at least 1."""
    return max(1, math.floor(value + 0.5))


def _rescale_segments(segments: Segments, text: str, epochs: int) -> str:
    """Return segments with each `p` and `c` at the same relative time."""
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
    ratio = epochs / position
    new_steps = {
        min(_round_up_to_one(step * ratio), epochs - 1 if step < position else epochs)
        for step in steps
    } - {0}
    new_clears = set()
    for clear in clears:
        at = math.floor(clear * ratio + 0.5)
        # Proxies cleared right after they are made would never be trained on.
        at += clear not in steps and at in new_steps
        if at < epochs:
            new_clears.add(at)
    return _to_text(new_steps, new_clears, epochs)


def _to_text(steps: set[int], clears: set[int], epochs: int) -> str:
    """Return the schedule with steps at the end of, and clears after, these epochs (from 1)."""
    tokens = ["c"] if 0 in clears else []
    for epoch in range(1, epochs + 1):
        tokens += ["p" if epoch in steps else "plain"] + ["c"] * (epoch in clears)
    parts: list[str] = []
    for token, group in itertools.groupby(tokens):
        count = len(list(group))
        parts += [str(count)] if token == "plain" else [token] * count
    return ",".join(parts)
