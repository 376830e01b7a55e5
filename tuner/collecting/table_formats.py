"""A table of runs as CSV, Markdown or LaTeX."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd

from tuner.collecting.columns import Value, is_count, is_share
from tuner.collecting.run_table import to_rows

_FINE = ("_mean", "_std", "_low", "_high", "_min", "_max")
_MARKDOWN = re.compile(r"([\\`*\[\]<>&|~$])")
# Underlines within words, as in most names here, mean nothing in Markdown.
_LOOSE_UNDERLINE = re.compile(r"(?<![^\W_])_|_(?![^\W_])")
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
    # At the begin of a line a bracket would be an option of the line break before.
    "[": "{[}",
    "]": "{]}",
}


@dataclass(frozen=True)
class Cells:
    """A table as text, for people.

    Attributes:
        columns: The names of the columns.
        headers: What stands above them.
        is_number: For each column whether it holds numbers, which are set flush right.
        rows: The cells.
        values: What the cells stand for.
    """

    columns: list[str]
    headers: list[str]
    is_number: list[bool]
    rows: list[list[str]]
    values: list[list[Value]]


def to_cells(table: pd.DataFrame) -> Cells:
    """A table as text: shares in per cent, seconds and counts whole, the rest to four digits."""
    columns = [str(column) for column in table.columns]
    values = [[row[column] for column in columns] for row in to_rows(table)]
    texts: list[list[str]] = [[] for _ in values]
    for i, column in enumerate(columns):
        show = _shower(column, [row[i] for row in values])
        for text, row in zip(texts, values, strict=True):
            text.append("" if row[i] is None else show(row[i]))
    return Cells(
        columns,
        [_header(column) for column in columns],
        [_is_number([row[i] for row in values]) for i in range(len(columns))],
        texts,
        values,
    )


def to_csv(table: pd.DataFrame) -> str:
    """A table as CSV, one line per row: names as they are, numbers in full."""
    tidy = table.map(lambda v: one_line(v) if isinstance(v, str) and not v.isprintable() else v)
    # `map` forgets which whole numbers stay whole where others are missing.
    return str(tidy.astype(table.dtypes).to_csv(index=False, lineterminator="\n"))


def to_markdown(table: pd.DataFrame) -> str:
    """A table as GitHub's Markdown, aligned in the source too."""
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
    """A table as LaTeX's `tabular`, with the rules of booktabs."""
    cells = to_cells(table)
    alignment = "".join("r" if right else "l" for right in cells.is_number)
    header, *body = (
        " & ".join(escape_latex(text) for text in row) + r" \\"
        for row in [cells.headers, *cells.rows]
    )
    return "\n".join(
        [
            r"% Needs \usepackage{booktabs} and \usepackage[T1]{fontenc}.",
            rf"\begin{{tabular}}{{{alignment}}}",
            r"\toprule",
            header,
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            "",
        ]
    )


def escape_markdown(text: str) -> str:
    """Text that Markdown shows as it is, in one line of a table."""
    escaped = _MARKDOWN.sub(r"\\\1", one_line(text))
    return escaped.replace("_", r"\_") if _LOOSE_UNDERLINE.search(escaped) else escaped


def escape_latex(text: str) -> str:
    """Text that LaTeX shows as it is."""
    escaped = "".join(_LATEX.get(character, character) for character in one_line(text))
    # Two hyphens in a row would become a dash.
    return re.sub("-(?=-)", "-{}", escaped)


def one_line(text: str) -> str:
    """Text with single spaces for all white space, and a mark for what cannot be shown."""
    spaced = " ".join(text.split())
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in spaced)


def _markdown_line(row: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    padded = [
        text.rjust(width) if flush else text.ljust(width)
        for text, width, flush in zip(row, widths, right, strict=True)
    ]
    return f"| {' | '.join(padded)} |"


def _header(column: str) -> str:
    return column.replace("_", " ") + (" (%)" if is_share(column) else "")


def _is_number(values: Sequence[Value]) -> bool:
    given = [value for value in values if value is not None]
    return bool(given) and not any(isinstance(value, (str, bool)) for value in given)


def _shower(column: str, values: Sequence[Value]) -> Callable[[Value], str]:
    """How the values of a column are shown: all with the same number of decimals."""
    numbers = [abs(v) for v in values if isinstance(v, (int, float)) and math.isfinite(v)]
    largest = max(numbers, default=0.0)
    if is_share(column):
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
