"""The `augment_maps` setting: the source of the heatmaps for augmentations."""

from __future__ import annotations

SELF = "self:"


def refresh_every(source: str) -> int | None:
    """Return N of "self:N" (the model being trained, explained every N epochs); None for a path.

    Raises:
        ValueError: N is not a whole number >= 1, or `source` is empty.
    """
    if not source:
        raise ValueError("`augment_maps` must be self:N, a run folder or a .keras file.")
    if not source.startswith(SELF):
        return None
    number = source.removeprefix(SELF)
    if not number.isdecimal() or int(number) < 1:
        raise ValueError(
            "`augment_maps` self:N refreshes the heatmaps every N epochs; N must be a whole number "
            f">= 1. Received: {source!r}"
        )
    return int(number)
