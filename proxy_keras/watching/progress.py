"""How far a training is, from what its files say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

RECENT = 10
"""Epochs whose time tells that of the next."""

QUIET_EPOCHS = 3.0
"""After as many epochs' time without a word, a training may have stopped ..."""

QUIET_S = 60.0
"""... but not before this many seconds."""

QUIET_AT_FIRST_S = 600.0
"""The same where no epoch has told how long it takes."""


@dataclass(frozen=True)
class Progress:
    """How far a training is.

    Attributes:
        phase: "waiting": not begun. "training". "evaluating": all epochs are done. "finished".
            "gone": it had begun, and its settings are there no more.
        epoch: Epochs done.
        epochs: Epochs in all; None: not known.
        left_s: Seconds until the last epoch ends, about; None: not known, or none is left.
        quiet_s: Seconds since the run wrote anything; None: it never did.
        is_quiet: Whether that is long enough to ask whether it has stopped.
    """

    phase: str
    epoch: int
    epochs: int | None
    left_s: float | None
    quiet_s: float | None
    is_quiet: bool


def compute_progress(
    *,
    has_begun: bool,
    had_begun: bool,
    has_ended: bool,
    epoch: int,
    epochs: int | None,
    seconds: Sequence[float | None],
    quiet_s: float | None,
    since_epoch_s: float,
) -> Progress:
    """How far a training is.

    Args:
        has_begun: It has settings.
        had_begun: It had settings before.
        has_ended: It has results.
        epoch: Epochs done.
        epochs: Epochs in all; None: not known.
        seconds: What each of the epochs done took.
        quiet_s: Seconds since the run wrote anything.
        since_epoch_s: Seconds since an epoch ended.
    """
    left_s, is_quiet, phase = None, False, "finished"
    if not has_begun:
        phase = "gone" if had_begun else "waiting"
    elif not has_ended:
        epoch_s = _seconds_of_an_epoch(seconds)
        phase = "evaluating" if epochs is not None and epoch >= epochs else "training"
        if epochs is not None and epoch_s is not None and phase == "training":
            left_s = max((epochs - epoch) * epoch_s - min(since_epoch_s, epoch_s), 0.0)
        limit = QUIET_AT_FIRST_S if epoch_s is None else max(QUIET_EPOCHS * epoch_s, QUIET_S)
        is_quiet = quiet_s is not None and quiet_s > limit
    return Progress(phase, epoch, epochs, left_s, quiet_s, is_quiet)


def _seconds_of_an_epoch(seconds: Sequence[float | None]) -> float | None:
    """The mean of the latest; without the first of all, in which the model is compiled."""
    known = [one for one in seconds if one is not None]
    latest = (known[1:] or known)[-RECENT:]
    return sum(latest) / len(latest) if latest else None
