"""A table of runs as a self-contained HTML page."""

from __future__ import annotations

from importlib import resources

import jinja2
import pandas as pd

from tuner.collecting.table_formats import one_line, to_cells


def to_page(table: pd.DataFrame, *, title: str, description: str) -> str:
    """Return a table as an HTML page, sortable by clicking a column.

    Args:
        table: The table.
        title: Title of the page.
        description: One line below the title.
    """
    cells = to_cells(table)
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["one_line"] = one_line
    page = resources.files("tuner.collecting") / "page" / "table.html.jinja"
    return environment.from_string(page.read_text(encoding="utf-8")).render(
        title=title,
        description=description,
        columns=list(zip(cells.columns, cells.headers, cells.is_number, strict=True)),
        rows=[
            list(zip(texts, values, cells.is_number, strict=True))
            for texts, values in zip(cells.rows, cells.values, strict=True)
        ],
    )
