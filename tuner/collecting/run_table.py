"""All runs below folders in one pandas table, one row per run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm import tqdm

from tuner.collecting.columns import Row, Value, in_order
from tuner.collecting.find_runs import Found, find_runs
from tuner.collecting.row_cache import NAME, RowCache, stamp
from tuner.collecting.run_row import FILES, read_run


@dataclass(frozen=True)
class Reading:
    """The table, and how it came about.

    Attributes:
        table: One row per run, by name. Missing values are `None`, `NaN` or `<NA>`.
        read: Runs that were read.
        unchanged: Runs whose row was known.
        unfinished: Runs, of those read, that are not done.
        unreadable: Runs and folders that could not be read, and why.
        remark: What happened to the file of known rows; empty: nothing.
    """

    table: pd.DataFrame
    read: int
    unchanged: int
    unfinished: int
    unreadable: list[tuple[str, str]]
    remark: str

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
    """The table of all runs below folders.

    Args:
        folders: Where to look.
        cache: The file of known rows; None: `.aggregate.json` in the first folder.
        progress: Show a progress bar where there is a terminal.

    Raises:
        ValueError: A folder does not exist, `cache` is another kind of file, or no run is found.
    """
    search = find_runs(folders)
    unreadable = list(search.closed)
    if not search.runs and not unreadable:
        raise ValueError(
            f"No run is found below {', '.join(map(str, folders))}: neither run folders "
            "(config.json and run.json) nor TensorBoard event files."
        )
    known = RowCache(folders[0] / NAME if cache is None else cache)
    rows: list[Row] = []
    read = 0
    # `disable=None`: no bar where the output is not a terminal.
    for run in tqdm(search.runs, unit="run", leave=False, disable=None if progress else True):
        try:
            row, is_new = _row(run, known)
        except (OSError, ValueError) as error:
            unreadable.append((run.name, str(error)))
            continue
        read += is_new
        rows.append({"name": run.name, **row})
    known.save()
    return Reading(
        table=to_table(rows),
        read=read,
        unchanged=len(rows) - read,
        unfinished=sum(row["status"] == "unfinished" for row in rows),
        unreadable=unreadable,
        remark=known.remark,
    )


def to_table(rows: Sequence[Row], columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Rows as a table whose whole numbers stay whole where others lack them.

    Args:
        rows: The rows.
        columns: Which, and in which order; None: all.
    """
    if columns is None:
        columns = in_order(column for row in rows for column in row)
    values = {column: [row.get(column) for row in rows] for column in columns}
    return pd.DataFrame({c: pd.Series(v, dtype=_dtype(v)) for c, v in values.items()})


def to_rows(table: pd.DataFrame) -> list[Row]:
    """The rows of a table as plain values, None where one is missing."""
    plain = table.astype(object).where(table.notna(), None)
    return [{str(c): v for c, v in row.items()} for row in plain.to_dict("records")]


def _row(run: Found, known: RowCache) -> tuple[Row, bool]:
    """The row of a run, and whether it had to be read."""
    files = run.event_files or [run.folder / name for name in FILES]
    state = stamp(run.folder, files)
    row = known.get(run.folder, state)
    if row is not None:
        return row, False
    row = _read(run)
    if row["status"] != "unfinished":
        known.put(run.folder, state, row)
    return row, True


def _read(run: Found) -> Row:
    if not run.event_files:
        return read_run(run.folder)
    # TensorBoard takes a while to import, and most people have none of these files.
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
