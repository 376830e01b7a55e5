"""What the arms of a study are compared by: a measure on the test split, and the selected epoch."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from proxy_keras.training.selections import LAST, MEASURES, SELECTIONS, selected_column

_EPOCHS = {
    LAST: "at the last epoch",
    "worst_class": "at the epoch with the best worst class of the validation images",
    "worst_group": "at the epoch with the best worst group of the validation images",
}


@dataclass(frozen=True)
class Measure:
    """A measure of a run.

    Attributes:
        name: One of `MEASURES`.
        selection: `LAST`, or one of `SELECTIONS`.
    """

    name: str = "accuracy"
    selection: str = LAST

    @property
    def column(self) -> str:
        """Its column in a table of runs."""
        return selected_column(self.name, self.selection)

    @property
    def words(self) -> str:
        """It in words."""
        name = self.name.replace("_", " ")
        name = name.replace("worst group", "worst-group").replace("worst class", "worst-class")
        return f"test {name}"

    @property
    def epoch(self) -> str:
        """The selected epoch in words."""
        return _EPOCHS[self.selection]


ALL = tuple(Measure(name, selection) for selection in (LAST, *SELECTIONS) for name in MEASURES)
"""All measures, those of the last epoch first."""


def chosen_measure(name: str, selection: str, rows: pd.DataFrame) -> Measure:
    """Return the measure that a study is told to compare.

    Args:
        name: One of `MEASURES`; "auto": worst-group accuracy if all runs have it, else accuracy.
        selection: `LAST`, or one of `SELECTIONS`.
        rows: The runs.

    Raises:
        ValueError: There are runs, but not one has the measure.
    """
    if name == "auto":
        column = selected_column("worst_group_accuracy", selection)
        is_known = len(rows) > 0 and bool(rows[column].notna().all())
        name = "worst_group_accuracy" if is_known else "accuracy"
    measure = Measure(name, selection)
    if len(rows) and rows[measure.column].isna().all():
        raise ValueError(
            f"No run has {measure.words} {measure.epoch}. Groups must be known for measures of "
            "groups (--groups FILE), and runs of earlier versions have only the accuracy."
        )
    return measure
