"""How an epoch is selected, and the measures of the network after it; without TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

WORST_CLASS, WORST_GROUP = "val_worst_class_accuracy", "val_worst_group_accuracy"
"""Logs: the lowest accuracy of a class, and of a group, that has validation images."""

LAST = "last"
SELECTIONS = {"worst_class": WORST_CLASS, "worst_group": WORST_GROUP}
"""Selections besides the last epoch, and the log whose highest value selects an epoch.

The last epoch needs no knowledge, `worst_class` the labels of validation images, and `worst_group`
their groups.
"""

LIKE_TRAINING, OTHER_SHARES = "like training", "other shares"
"""What `run.json` says of the group shares of the validation images."""

MEASURES = (
    *("worst_group_accuracy", "adjusted_average", "balanced_accuracy", "worst_class_accuracy"),
    "accuracy",
)
"""Measures of a network on a split, most important first."""


def selected_column(measure: str, selection: str) -> str:
    """Return the name of a measure on the test split in tables of runs.

    Args:
        measure: One of `MEASURES`.
        selection: `LAST`, or one of `SELECTIONS`.
    """
    return f"test_{measure}" + ("" if selection == LAST else f"_by_{selection}")


def measures_of(scores: Mapping[str, Any]) -> dict[str, float | None]:
    """Return `MEASURES` from the scores of a split in the `metrics.json` of a run.

    None: unknown, such as measures of groups without groups, or a measure that is newer than the
    run.
    """
    found = {**scores, **(scores.get("groups") or {})}
    return {name: found.get(name) for name in MEASURES}
