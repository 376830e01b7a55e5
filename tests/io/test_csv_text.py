"""CSV text: every float64 comes back, and pandas reads what it wrote before."""

from __future__ import annotations

import io
import math

import pandas as pd

from proxy_keras.io.csv_text import csv_text


def test_it_is_what_pandas_writes() -> None:
    rows = [
        {"epoch": 1, "loss": 0.1, "class": 'a "b", c'},
        {"epoch": 2, "loss": math.nan, "class": "ä", "lr": 1e-300},
        {"epoch": 3, "loss": math.inf, "class": "", "lr": 2.0},
    ]
    written = csv_text(rows, ".17g")
    assert written == pd.DataFrame(rows).to_csv(index=False, float_format="%.17g")
    assert float(csv_text([{"x": 0.1 + 0.2}], ".17g").split()[1]) == 0.1 + 0.2
    assert pd.read_csv(io.StringIO(written))["epoch"].tolist() == [1, 2, 3]


def test_no_rows_are_no_columns() -> None:
    assert csv_text([], ".4f") == "\n"
