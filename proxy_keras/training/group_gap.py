"""Whether the groups of images show a shortcut at all; without TensorFlow."""

from __future__ import annotations

SMALL_GAP = 0.05
"""Adjusted average minus worst-group accuracy, below which no shortcut is found.

The lowest of a few measured accuracies is below their average by chance too: with four groups of
200 images at 90%, by 2.2 points in the mean and by 4.3 in one case of twenty.
"""


def has_gap(average: float, worst: float) -> bool:
    """Return whether the groups differ enough to speak of a shortcut.

    Args:
        average: Adjusted average accuracy, in [0, 1].
        worst: Worst-group accuracy, in [0, 1].
    """
    # As it is printed.
    return round(average - worst, 3) >= SMALL_GAP


def gap_sentence(average: float, worst: float, network: str | None = None) -> str:
    """Return what the difference means, in a sentence; see `has_gap`.

    Args:
        average, worst: See `has_gap`.
        network: Name of the network, where there are several.
    """
    group = "the worst group" if network is None else f"the worst group of {network}"
    below = f"{100.0 * (average - worst):.1f} points below {'the' if network is None else 'its'}"
    gap = f"{group} is {below} adjusted average"
    if has_gap(average, worst):
        return f"T{gap[1:]}: something misleads the network there, or its images are hard."
    return (
        f"No shortcut was found: {gap}, which is less than {100.0 * SMALL_GAP:g}. Training without "
        "cues, or by groups, promises nothing here."
    )
