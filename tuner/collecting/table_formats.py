"""A table of runs as CSV, Markdown or LaTeX."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd

from tuner.collecting.columns import Value, is_count, is_fraction
from tuner.collecting.run_table import to_rows

_FINE = ("_mean", "_std", "_low", "_high", "_min", "_max")
_MARKDOWN = re.compile(r"([\\`*\[\]<>&|~$])")
# Underscores within words have no meaning in Markdown.
_OUTER_UNDERSCORE = re.compile(r"(?<![^\W_])_|_(?![^\W_])")
_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "_": r"\_",
    "%": r"\%",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    # At the start of a line, a bracket would be an option of the previous line break.
    "[": "{[}",
    "]": "{]}",
}


@dataclass(frozen=True)
class Cells:
    """Cells of a table, formatted as text.

    Attributes:
        columns: Names of the columns.
        headers: Displayed headers of the columns.
        is_number: Whether each column is numeric and right-aligned.
        rows: Text of the cells.
        values: Values of the cells.
    """

    columns: list[str]
    headers: list[str]
    is_number: list[bool]
    rows: list[list[str]]
    values: list[list[Value]]


def to_cells(table: pd.DataFrame) -> Cells:
    """Format a table: fractions as percent, seconds and counts rounded, the rest to 4 digits."""
    columns = [str(column) for column in table.columns]
    values = [[row[column] for column in columns] for row in to_rows(table)]
    texts: list[list[str]] = [[] for _ in values]
    for i, column in enumerate(columns):
        to_text = _formatter(column, [row[i] for row in values])
        for text, row in zip(texts, values, strict=True):
            text.append("" if row[i] is None else to_text(row[i]))
    return Cells(
        columns,
        [_header(column) for column in columns],
        [_is_number([row[i] for row in values]) for i in range(len(columns))],
        texts,
        values,
    )


def to_csv(table: pd.DataFrame) -> str:
    """Return a table as CSV, with original names and unrounded numbers."""
    tidy = table.map(lambda v: one_line(v) if isinstance(v, str) and not v.isprintable() else v)
    # `map` loses the nullable integer types.
    return str(tidy.astype(table.dtypes).to_csv(index=False, lineterminator="\n"))


def to_markdown(table: pd.DataFrame) -> str:
    """Return a table as GitHub-flavoured Markdown with aligned source."""
    cells = to_cells(table)
    rows = [[escape_markdown(text) for text in row] for row in [cells.headers, *cells.rows]]
    widths = [max(3, *(len(row[i]) for row in rows)) for i in range(len(cells.columns))]
    lines = [_markdown_line(row, widths, cells.is_number) for row in rows]
    rules = [
        "-" * (width - 1) + (":" if right else "-")
        for width, right in zip(widths, cells.is_number, strict=True)
    ]
    return "\n".join([lines[0], f"| {' | '.join(rules)} |", *lines[1:], ""])


def to_latex(table: pd.DataFrame) -> str:
    """Return a table as a LaTeX `tabular` with booktabs rules."""
    cells = to_cells(table)
    alignment = "".join("r" if right else "l" for right in cells.is_number)
    header, *rows = [[escape_latex(text) for text in row] for row in [cells.headers, *cells.rows]]
    text = pd.DataFrame(rows, columns=header).to_latex(index=False, column_format=alignment)
    return "% Needs \\usepackage{booktabs} and \\usepackage[T1]{fontenc}.\n" + text


def escape_markdown(text: str) -> str:
    """Escape text for a Markdown table cell."""
    escaped = _MARKDOWN.sub(r"\\\1", one_line(text))
    return escaped.replace("_", r"\_") if _OUTER_UNDERSCORE.search(escaped) else escaped


def escape_latex(text: str) -> str:
    """Escape text for LaTeX."""
    escaped = "".join(_LATEX.get(character, character) for character in one_line(text))
    # Two hyphens would become a dash.
    return re.sub("-(?=-)", "-{}", escaped)


def one_line(text: str) -> str:
    """Return text with whitespace collapsed and unprintable characters replaced."""
    spaced = " ".join(text.split())
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in spaced)


def _markdown_line(row: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    padded = [
        text.rjust(width) if flush else text.ljust(width)
        for text, width, flush in zip(row, widths, right, strict=True)
    ]
    return f"| {' | '.join(padded)} |"


def _header(column: str) -> str:
    return column.replace("_", " ") + (" (%)" if is_fraction(column) else "")


def _is_number(values: Sequence[Value]) -> bool:
    given = [value for value in values if value is not None]
    return bool(given) and not any(isinstance(value, (str, bool)) for value in given)


def _formatter(column: str, values: Sequence[Value]) -> Callable[[Value], str]:
    """Return a function that formats the values of a column with equal decimals."""
    numbers = [abs(v) for v in values if isinstance(v, (int, float)) and math.isfinite(v)]
    largest = max(numbers, default=0.0)
    if is_fraction(column):
        decimals = 2 if column.endswith(_FINE) else 1
        return lambda v: _fixed(v, decimals, scale=100.0)
    if "seconds" in column:
        return lambda v: _fixed(v, 0 if largest >= 100.0 else 1)
    if is_count(column):
        return lambda v: _fixed(v, 0)
    return _plain


def _fixed(value: Value, decimals: int, *, scale: float = 1.0) -> str:
    return _plain(value) if isinstance(value, str | None) else f"{scale * value:,.{decimals}f}"


def _plain(value: Value) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
