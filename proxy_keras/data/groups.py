"""Groups of images, such as class and background together: names, and an id for each image."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

UNKNOWN = -1
"""The id of an image whose group is unknown."""

SMALL_GROUP = 30
"""Number of images below which the accuracy of a group is called imprecise."""


@dataclass(frozen=True)
class Groups:
    """The groups of some images.

    In the literature on worst groups, a group is a class together with an attribute, such as
    "waterbird on land". Here it is any text.

    Attributes:
        names: The names of the G groups of the data, by id; sorted. Empty: no group is known.
        ids: [n] int32, the group of each image; -1: unknown.

    Source: Sagawa et al., Distributionally robust neural networks for group shifts (2020).
    """

    names: tuple[str, ...]
    ids: NDArray[np.int32]

    @classmethod
    def of(cls, names: Sequence[str | None]) -> Groups:
        """Return the groups of images, given the name of each; None: unknown."""
        known = sorted({name for name in names if name is not None})
        id_of: dict[str | None, int] = {name: number for number, name in enumerate(known)}
        return cls(tuple(known), np.array([id_of.get(n, UNKNOWN) for n in names], np.int32))

    @classmethod
    def unknown_for(cls, images: int) -> Groups:
        """Return the groups of images of which none is known."""
        return cls((), np.full([images], UNKNOWN, np.int32))

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.ids)

    def at(self, positions: NDArray[np.int64]) -> Groups:
        """Return the groups of some of the images, under the same ids."""
        return Groups(self.names, self.ids[positions])

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """The number of images of each group, [G]."""
        return np.bincount(self.ids[self.ids != UNKNOWN], minlength=len(self.names))

    @property
    def sha256(self) -> str:
        """SHA-256 of the group of each image, in their order, in hex."""
        names = [None if group == UNKNOWN else self.names[group] for group in self.ids.tolist()]
        return hashlib.sha256(json.dumps(names).encode()).hexdigest()

    @property
    def absent(self) -> list[str]:
        """The names of the groups without an image."""
        return [self.names[group] for group in np.flatnonzero(self.counts == 0)]

    @property
    def unknown(self) -> int:
        """The number of images whose group is unknown."""
        return len(self) - int(self.counts.sum())

    @property
    def is_known(self) -> bool:
        """Whether the group of any image is known."""
        return self.unknown < len(self)
