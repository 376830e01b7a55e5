"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Sequence

EMPTY = "–"
"""A cell without a value."""


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table whose columns, except the first, are aligned to the right."""
    rule = ["---"] + ["---:"] * (len(header) - 1)
    lines = [header, rule, *([cell.replace("|", r"\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
