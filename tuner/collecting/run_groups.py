"""Groups of runs: statistics over seeds, and the best run of each group."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

from scipy.special import stdtrit

from tuner.collecting.columns import Row, Value, is_lower_better, sort_key

STATISTICS: tuple[str, ...] = (
    *("runs", "test_accuracy_mean", "test_accuracy_std", "test_accuracy_ci95_low"),
    *("test_accuracy_ci95_high", "test_accuracy_min", "test_accuracy_max", "val_accuracy_mean"),
    *("seconds_mean", "seconds_std", "seconds_min", "seconds_max"),
)
"""The columns of a group, besides those that define it."""

MEASURES: tuple[str, ...] = (
    *("test_worst_group_accuracy", "test_worst_group_accuracy_by_worst_class"),
    *("test_worst_group_accuracy_by_worst_group", "test_adjusted_average"),
    "test_balanced_accuracy",
)
"""Further measures of runs; a table of groups has `MEASURE_STATISTICS` of those that runs have."""

MEASURE_STATISTICS: tuple[str, ...] = ("mean", "std", "ci95_low", "ci95_high")


def finished(rows: Sequence[Row]) -> list[Row]:
    """Return the finished runs."""
    return [row for row in rows if row["status"] != "unfinished"]


def group(rows: Sequence[Row], by: Sequence[str]) -> dict[tuple[Value, ...], list[Row]]:
    """Group runs by the values of columns, sorted by these values."""
    groups: dict[tuple[Value, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row.get(column) for column in by), []).append(row)
    return dict(sorted(groups.items(), key=lambda item: [sort_key(v) for v in item[0]]))


def summarise(rows: Sequence[Row], by: Sequence[str]) -> list[Row]:
    """Return one row per group: the columns of `by`, `STATISTICS`, and those of `MEASURES`.

    The interval is Student's 95% interval of the mean. It and the standard deviation (n - 1) need
    two runs. Missing values are ignored.
    """
    measures = [name for name in MEASURES if _numbers(rows, name)]
    summaries: list[Row] = []
    for key, members in group(rows, by).items():
        summary: Row = dict.fromkeys(STATISTICS)
        summary["runs"] = len(members)
        for column in ("val_accuracy", "test_accuracy", "seconds"):
            for name, value in _describe(_numbers(members, column)).items():
                if f"{column}_{name}" in STATISTICS:
                    summary[f"{column}_{name}"] = value
        for column in measures:
            described = _describe(_numbers(members, column))
            summary |= {f"{column}_{name}": described.get(name) for name in MEASURE_STATISTICS}
        summaries.append({**dict(zip(by, key, strict=True)), **summary})
    return summaries


def best(rows: Sequence[Row], by: Sequence[str], column: str) -> list[Row]:
    """Return the best run of each group, the first of equal ones. Missing values are ignored.

    Args:
        rows: The runs.
        by: The columns that define the groups; empty: all runs are one group.
        column: The criterion: the highest value, or the lowest of a loss or a time.

    Raises:
        ValueError: `column` is measured on the test split, or is not numeric.
    """
    if column.startswith("test_"):
        raise ValueError(
            f"--by {column}: selecting on the test split overestimates the result. Select on the "
            f"validation split, such as by val_accuracy; to rank runs, use --sort {column}."
        )
    if any(isinstance(row.get(column), str) for row in rows):
        raise ValueError(f"--by {column}: the column contains text. Pass a numeric column.")
    choose: Callable[..., Row] = min if is_lower_better(column) else max
    known = [row for row in rows if row.get(column) is not None]
    return [choose(g, key=lambda r: sort_key(r.get(column))) for g in group(known, by).values()]


def varying(rows: Sequence[Row], by: Sequence[str], settings: Sequence[str]) -> list[str]:
    """Return the settings in which runs of one group differ."""
    groups = group(rows, by).values()
    return [s for s in settings if any(len({row.get(s) for row in g}) > 1 for g in groups)]


def _numbers(rows: Sequence[Row], column: str) -> list[float]:
    values = (row.get(column) for row in rows)
    return [float(value) for value in values if isinstance(value, (int, float))]


def _describe(values: Sequence[float]) -> dict[str, float]:
    if not values:
        return {}
    mean = statistics.fmean(values)
    described = {"mean": mean, "min": min(values), "max": max(values)}
    if len(values) > 1:
        deviation = statistics.stdev(values)
        half = float(stdtrit(len(values) - 1, 0.975)) * deviation / len(values) ** 0.5
        described |= {"std": deviation, "ci95_low": mean - half, "ci95_high": mean + half}
    return described
