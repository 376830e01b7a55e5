"""Options of the command `python -m proxy_keras.cues`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from proxy_keras.settings.json_settings import require

FOUND_WITH = ("clusters", "layer", "max_images", "shown", "seed")
"""Options that decide which cues are found."""

OBJECTS = ("boxes", "masks", "object_share")
"""Options that say where the object is."""


@dataclass(frozen=True)
class CueOptions:
    """Options of the command, without those of the data.

    Attributes:
        out: Folder of the cues; None: next to the model.
        clusters: Number of clusters.
        layer: Layer whose cells are clustered; None: found automatically.
        max_images: Largest number of training images, and of validation images, to examine.
        shown: Number of cues to show at first.
        seed: Seed of all draws.
        batch_size: Images per batch.
        boxes: File of object boxes; None: `boxes.csv` in the folder of the images, if it exists.
        masks: Folder of object masks; None: `masks` there, if it exists.
        object_share: Share of the examined training images whose object may be used; None: all.
        again: Whether to find the cues again where there are some.
        undo: Whether to take the last verdict back.
        tick, untick, object, mixture: Names of the cues to give a verdict.
        tick_outside: Tick cues with less than this share of their evidence on the object.
        page: Whether to serve the page.
        port: Port of the page; 0: any free one.
        quiet: Whether to hide progress bars.
    """

    out: Path | None = None
    clusters: int | Literal["auto"] = "auto"
    layer: str | None = None
    max_images: int = 10_000
    shown: int = 16
    seed: int = 0
    batch_size: int = 64
    boxes: Path | None = None
    masks: Path | None = None
    object_share: float | None = None
    again: bool = False
    undo: bool = False
    tick: tuple[str, ...] = ()
    untick: tuple[str, ...] = ()
    object: tuple[str, ...] = ()
    mixture: tuple[str, ...] = ()
    tick_outside: float | None = None
    page: bool = False
    port: int = 8766
    quiet: bool = False

    def __post_init__(self) -> None:
        for name in ("max_images", "shown", "batch_size"):
            require(getattr(self, name) >= 1, f"`{name}` must be >= 1.", getattr(self, name))
        require(self.seed >= 0, "`seed` must be >= 0.", self.seed)
        for name in ("object_share", "tick_outside"):
            value = getattr(self, name)
            require(value is None or 0.0 < value <= 1.0, f"`{name}` must be in (0, 1].", value)
        named = [*self.tick, *self.untick, *self.object, *self.mixture]
        twice = sorted({name for name in named if named.count(name) > 1})
        require(not twice, "Give each cue one verdict.", ", ".join(twice))
