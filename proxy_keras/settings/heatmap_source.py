"""Where the heatmaps of augmentations come from, as text."""

from __future__ import annotations

SELF = "self:"


def refresh_every(source: str) -> int | None:
    """The N of "self:N", the network in training, explained every N epochs; None for a path.

    Raises:
        ValueError: N is not a whole number >= 1, or there is no text.
    """
    if not source:
        raise ValueError("`augment_maps` must be self:N, a run folder or a .keras file.")
    if not source.startswith(SELF):
        return None
    number = source.removeprefix(SELF)
    if not number.isdecimal() or int(number) < 1:
        raise ValueError(
            f"`augment_maps` from the network in training is self:N, every N epochs, N >= 1. "
            f"Received: {source!r}"
        )
    return int(number)
