"""What a search can optimise, and how it ends without a result; needs no KerasTuner."""

from __future__ import annotations

import zipfile
from pathlib import Path

from proxy_keras.settings import DataConfig
from proxy_keras.training.selections import WORST_CLASS, WORST_GROUP

OBJECTIVES = {"val_accuracy": "max", "val_loss": "min", WORST_CLASS: "max", WORST_GROUP: "max"}
"""Directions of the objectives, by name."""


class SearchError(RuntimeError):
    """Base of the errors that end a search."""


def check_objective(objective: str, data: DataConfig) -> None:
    """Check that the data can have an objective, before a trial is trained without it.

    Args:
        objective: One of `OBJECTIVES`.
        data: Existing data.

    Raises:
        ValueError: It needs groups, and the data have none.
    """
    if objective == WORST_GROUP and not _may_have_groups(data):
        raise ValueError(
            f"`--objective {WORST_GROUP}` needs the groups of validation images, but "
            f"{data.source!r} has none. Give --groups FILE, groups.csv in the folder, or "
            f"groups_train in the .npz file; or use --objective {WORST_CLASS}."
        )


def _may_have_groups(data: DataConfig) -> bool:
    # Imports TensorFlow, which other objectives need not wait for.
    from proxy_keras.data.group_table import GROUPS

    if data.groups is not None or (Path(data.source) / GROUPS).is_file():
        return True
    form, _, file = data.source.partition(":")
    return (
        form == "npz"
        and zipfile.is_zipfile(file)
        and "groups_train.npy" in zipfile.ZipFile(file).namelist()
    )
