"""Tables that users write, as CSV files."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

Cells = Mapping[str, str | None]
"""The cells of a line by column; None: the line ends before that column."""


@dataclass(frozen=True)
class CsvTable:
    """The content of a CSV file.

    Attributes:
        columns: The columns, as the first line names them.
        lines: (line number, counted from 1; cells) of each line after it.
    """

    columns: Sequence[str]
    lines: Sequence[tuple[int, Cells]]


def read_csv_table(file: Path, needed: Sequence[str]) -> CsvTable:
    """Read a CSV file in UTF-8.

    Args:
        file: The file.
        needed: Columns that it must have.

    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: It is not a CSV file in UTF-8, or a column is missing.
    """
    if not file.is_file():
        raise FileNotFoundError(
            f"{str(file)!r} does not exist. Give a CSV file with the columns {', '.join(needed)}."
        )
    try:
        # Spreadsheets write a byte order mark.
        with file.open(encoding="utf-8-sig", newline="") as text:
            reader = csv.DictReader(text)
            columns = list(reader.fieldnames or [])
            lines = [(reader.line_num, row) for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{file} is not a CSV file in UTF-8: {error}") from error
    missing = [name for name in needed if name not in columns]
    if missing:
        raise ValueError(
            f"{file} lacks the columns {', '.join(missing)}. It has {', '.join(columns)}."
        )
    return CsvTable(columns, lines)
