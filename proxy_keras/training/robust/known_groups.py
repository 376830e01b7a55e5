"""Checks that the groups are known which a method must be told."""

from __future__ import annotations

from pathlib import Path

from proxy_keras.data.data_split import DataSplit
from proxy_keras.data.group_table import GROUPS
from proxy_keras.settings import TrainConfig


def check_groups_table(method: str, config: TrainConfig) -> None:
    """Check, before the data are read, that a folder of images has a table of groups.

    Raises:
        ValueError: It has not.
    """
    root = Path(config.data.source)
    if root.is_dir() and config.data.groups is None and not (root / GROUPS).is_file():
        raise ValueError(_missing(method, f"none in {root}"))


def check_groups(method: str, split: DataSplit) -> None:
    """Check that a split has images of every group.

    Raises:
        ValueError: Groups are unknown, or one has no image.
    """
    groups = split.groups
    if not groups.is_known:
        raise ValueError(_missing(method, f"none for the images of {split.name}"))
    if groups.absent:
        raise ValueError(
            f"`robust` {method} needs images of every group in {split.name}. Received: none of "
            f"{', '.join(groups.absent)}"
        )


def _missing(method: str, received: str) -> str:
    return (
        f"`robust` {method} needs the groups of images: {GROUPS} in their folder, or --groups "
        f"FILE. Received: {received}"
    )
