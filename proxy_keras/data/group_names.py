"""Checks of the groups that arrays and streams are given with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proxy_keras.io.names import canonical

GroupNames = NDArray[Any] | Sequence[str | None] | Sequence[int]
"""The group of each image: text or integers; None or empty text: unknown."""


def check_group_names(
    parts: Mapping[str, tuple[GroupNames | None, int]],
) -> list[str | None] | None:
    """Return the group of every image as text, None where it is unknown; None: none is given.

    Args:
        parts: The groups of each part of the data and the number of its images, by the name of the
            argument. A part without groups has images of unknown groups.

    Raises:
        ValueError: There is not one group per image.
        TypeError: A group is neither text, an integer nor None.
    """
    if all(given is None for given, _ in parts.values()):
        return None
    names: list[str | None] = []
    for argument, (given, images) in parts.items():
        found = np.full([images], None, object) if given is None else np.asarray(given, object)
        if found.shape != (images,):
            raise ValueError(
                f"`{argument}` must be one group per image, [{images}]. Received: "
                f"{list(found.shape)}"
            )
        names += [_name(group, argument) for group in found.tolist()]
    return names


def _name(group: Any, argument: str) -> str | None:
    if group is None:
        return None
    if isinstance(group, bytes):
        group = group.decode("utf-8", "surrogateescape")
    if isinstance(group, (int, np.integer)) and not isinstance(group, bool):
        group = str(group)
    if not isinstance(group, str):
        raise TypeError(
            f"`{argument}` must hold text, integers, or None where the group is unknown. Received: "
            f"{group!r}"
        )
    return canonical(group) or None
