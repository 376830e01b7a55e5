"""The measures of each arm under each selection of the epoch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from proxy_keras.training.selections import LAST, MEASURES, SELECTIONS
from tuner.comparing import paired_tests
from tuner.comparing.markdown_table import EMPTY, markdown_table
from tuner.comparing.measures import Measure

LETTERS = dict(zip((LAST, *SELECTIONS), "abc", strict=True))
"""What is known when an epoch is selected: (a) nothing, (b) classes, (c) groups of validation."""

HOW_TO_READ = (
    "Selection of the epoch: (a) the last one, for which nothing need be known; (b) that with the "
    "best worst-class accuracy on the validation images; (c) that with the best worst-group "
    "accuracy on them, which needs their groups. In points, with 95% t intervals over seeds. "
    "Adjusted average: groups weighted as in training."
)


def selection_table(results: pd.DataFrame, arms: Sequence[str]) -> pd.DataFrame:
    """Return a row per arm and selection that any run has, in points.

    Columns: `arm`, `selection`, `n` runs, and for each of `MEASURES` that any run has its `_mean`
    and the bounds `_low` and `_high` of the 95% t interval over seeds (NaN with fewer than 2).

    Args:
        results: A row per run, see `study_results`. Columns of measures may be missing.
        arms: Names of the arms, in order.
    """
    known = [m for m in MEASURES if any(_has(results, Measure(m, s)) for s in LETTERS)]
    rows = []
    for arm in arms:
        runs = results[results["arm"] == arm]
        for selection in LETTERS:
            columns = {name: Measure(name, selection).column for name in known}
            found = {name: _values(runs, column) for name, column in columns.items()}
            n = max(map(len, found.values()), default=0)
            if n == 0:
                continue
            row: dict[str, object] = {"arm": arm, "selection": selection, "n": n}
            for name, values in found.items():
                row |= _summary(name, values)
            rows.append(row)
    return pd.DataFrame(rows)


def selection_parts(selections: pd.DataFrame) -> list[str]:
    """Return the table in Markdown, with its heading and how to read it; empty without rows."""
    if selections.empty:
        return []
    names = [column.removesuffix("_mean") for column in selections if column.endswith("_mean")]
    header = ["arm", "selection", "seeds", *(Measure(name).words for name in names)]
    rows = [
        [
            str(row["arm"]),
            f"({LETTERS[row['selection']]}) {row['selection'].replace('_', ' ')}",
            str(row["n"]),
            *(
                _cell(row[f"{name}_mean"], row[f"{name}_low"], row[f"{name}_high"])
                for name in names
            ),
        ]
        for row in selections.to_dict("records")
    ]
    return ["## Selection", markdown_table(header, rows), HOW_TO_READ]


def _cell(mean: float, low: float, high: float) -> str:
    if np.isnan(mean):
        return EMPTY
    return f"{mean:.1f}" if np.isnan(low) else f"{mean:.1f} ({low:.1f} to {high:.1f})"


def _has(results: pd.DataFrame, measure: Measure) -> bool:
    return len(_values(results, measure.column)) > 0


def _values(runs: pd.DataFrame, column: str) -> np.ndarray:
    """Return the known values of a column, in points."""
    if column not in runs:
        return np.empty([0])
    return 100.0 * runs[column].dropna().to_numpy(float)


def _summary(name: str, values: np.ndarray) -> dict[str, float]:
    low = high = np.nan
    if len(values) >= 2:
        low, high = np.clip(paired_tests.mean_interval(values), 0.0, 100.0)
    mean = float(values.mean()) if len(values) else np.nan
    return {f"{name}_mean": mean, f"{name}_low": float(low), f"{name}_high": float(high)}
