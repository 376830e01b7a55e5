"""A pandas table of all runs below folders, one row per run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from proxy_keras.io.progress import progress_bar
from tuner.collecting.columns import Row, Value, ordered
from tuner.collecting.find_runs import FoundRun, find_runs
from tuner.collecting.row_cache import NAME, RowCache, stamp
from tuner.collecting.run_row import FILES, read_run


@dataclass(frozen=True)
class Reading:
    """Table of runs, with counts of how they were read.

    Attributes:
        table: One row per run, sorted by name. Missing values are `None`, `NaN` or `<NA>`.
        read: Number of runs that were read.
        unchanged: Number of runs whose row was cached.
        unfinished: Number of unfinished runs.
        unreadable: Runs and folders that could not be read, with the reason.
        warning: Problems with the cache file; may be empty.
    """

    table: pd.DataFrame
    read: int
    unchanged: int
    unfinished: int
    unreadable: list[tuple[str, str]]
    warning: str

    def __str__(self) -> str:
        total = self.read + self.unchanged + len(self.unreadable)
        parts = [f"{self.read} read", f"{self.unchanged} unchanged"]
        if self.unfinished:
            parts.append(f"{self.unfinished} unfinished")
        if self.unreadable:
            reasons = "; ".join(f"{name}: {why}" for name, why in self.unreadable)
            parts.append(f"{len(self.unreadable)} unreadable ({reasons})")
        return f"{total} run{'' if total == 1 else 's'}: {', '.join(parts)}"


def read_runs(
    folders: Sequence[Path], *, cache: Path | None = None, progress: bool = False
) -> Reading:
    """Return the table of all runs below folders.

    Args:
        folders: Folders to search.
        cache: The cache file of rows; None: `.aggregate.json` in the first folder.
        progress: Show a progress bar on a terminal.

    Raises:
        ValueError: A folder does not exist, `cache` is another kind of file, or no run is found.
    """
    found = find_runs(folders)
    unreadable = list(found.unreadable)
    if not found.runs and not unreadable:
        raise ValueError(
            f"No runs found below {', '.join(map(str, folders))}: neither run folders "
            "(config.json and run.json) nor TensorBoard event files."
        )
    row_cache = RowCache(folders[0] / NAME if cache is None else cache)
    rows: list[Row] = []
    read = 0
    # `disable=None` disables the bar if the output is not a terminal.
    for run in progress_bar(found.runs, unit="run", leave=False, shown=progress):
        try:
            row, is_new = _row(run, row_cache)
        except (OSError, ValueError) as error:
            unreadable.append((run.name, str(error)))
            continue
        read += is_new
        rows.append({"name": run.name, **row})
    row_cache.save()
    return Reading(
        table=to_table(rows),
        read=read,
        unchanged=len(rows) - read,
        unfinished=sum(row["status"] == "unfinished" for row in rows),
        unreadable=unreadable,
        warning=row_cache.warning,
    )


def to_table(rows: Sequence[Row], columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Return rows as a table; integer columns stay integer if values are missing.

    Args:
        rows: The rows.
        columns: Columns to keep, in order; None: all.
    """
    if columns is None:
        columns = ordered(column for row in rows for column in row)
    values = {column: [row.get(column) for row in rows] for column in columns}
    return pd.DataFrame({c: pd.Series(v, dtype=_dtype(v)) for c, v in values.items()})


def to_rows(table: pd.DataFrame) -> list[Row]:
    """Return the rows of a table as Python values, None if missing."""
    plain = table.astype(object).where(table.notna(), None)
    return [{str(c): v for c, v in row.items()} for row in plain.to_dict("records")]


def _row(run: FoundRun, row_cache: RowCache) -> tuple[Row, bool]:
    """Return the row of a run, and whether it was read."""
    files = run.event_files or [run.folder / name for name in FILES]
    state = stamp(run.folder, files)
    row = row_cache.get(run.folder, state)
    if row is not None:
        return row, False
    row = _read(run)
    if row["status"] != "unfinished":
        row_cache.put(run.folder, state, row)
    return row, True


def _read(run: FoundRun) -> Row:
    if not run.event_files:
        return read_run(run.folder)
    # TensorBoard imports slowly, and most folders have no event files.
    from tuner.collecting.event_row import read_events

    return read_events(run.event_files)


def _dtype(values: Sequence[Value]) -> Any:
    kinds = {type(value) for value in values if value is not None}
    if kinds == {bool}:
        return "boolean"
    if kinds == {int}:
        largest = max(abs(value) for value in values if isinstance(value, int))
        return "Int64" if largest < 2**63 else object
    return "float64" if kinds and kinds <= {int, float} else object
