"""Rows of numbers and names as CSV text."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from typing import Any


def csv_text(rows: Sequence[Mapping[str, Any]], float_format: str) -> str:
    """Return rows as CSV text with a header.

    Args:
        rows: The values by column. A missing column, None and NaN are left empty.
        float_format: The format of floats; ".17g" gives back every float64 exactly.
    """

    def cell(value: Any) -> Any:
        if not isinstance(value, float):
            return value
        return "" if math.isnan(value) else format(value, float_format)

    columns = list(dict.fromkeys(name for row in rows for name in row))
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: cell(value) for name, value in row.items()} for row in rows)
    return file.getvalue()
