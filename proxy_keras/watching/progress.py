"""The progress of a training run, computed from its files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

RECENT = 10
"""Number of epochs whose mean time predicts that of the next."""

QUIET_EPOCHS = 3.0
"""A run that writes nothing for this many epoch times may have stopped ..."""

QUIET_S = 60.0
"""... but not before this many seconds."""

QUIET_AT_FIRST_S = 600.0
"""The limit in seconds while the time of an epoch is unknown."""


@dataclass(frozen=True)
class Progress:
    """The progress of a training run.

    Attributes:
        phase: "waiting" (not started), "training", "evaluating" (all epochs are done), "finished",
            or "gone" (it had started, but its settings have disappeared).
        epoch: Finished epochs.
        epochs: Total epochs; None if unknown.
        left_s: Estimated seconds until the last epoch ends; None if unknown or done.
        quiet_s: Seconds since the run last wrote a file; None if it never did.
        is_quiet: Whether that is so long that the run may have stopped.
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
    """Compute the progress of a training run.

    Args:
        has_begun: Whether the run has settings.
        had_begun: Whether it had settings before.
        has_ended: Whether it has results.
        epoch: Finished epochs.
        epochs: Total epochs; None if unknown.
        seconds: Time of each finished epoch.
        quiet_s: Seconds since the run last wrote a file.
        since_epoch_s: Seconds since the last epoch ended.
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
    """Return the mean of recent epochs, without the first, in which the model is compiled."""
    known = [one for one in seconds if one is not None]
    latest = (known[1:] or known)[-RECENT:]
    return sum(latest) / len(latest) if latest else None
