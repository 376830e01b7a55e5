"""Every format shows the same table, whatever text it contains."""

import csv
import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.collecting.run_table import to_table
from tuner.collecting.table_formats import (
    escape_latex,
    escape_markdown,
    one_line,
    to_cells,
    to_csv,
    to_latex,
    to_markdown,
)

TABLE = to_table(
    [
        {"name": "a_b", "epochs": 20, "lr": 1e-5, "test_accuracy": 0.98765, "seconds": 12.34},
        {"name": "x|y", "epochs": None, "lr": 0.1 + 0.2, "test_accuracy": None, "seconds": 7.0},
    ]
)


def test_csv_is_exact():
    assert to_csv(TABLE) == (
        "name,epochs,lr,test_accuracy,seconds\n"
        "a_b,20,1e-05,0.98765,12.34\n"
        "x|y,,0.30000000000000004,,7.0\n"
    )


def test_markdown():
    assert to_markdown(TABLE).splitlines() == [
        "| name | epochs |    lr | test accuracy (%) | seconds |",
        "| ---- | -----: | ----: | ----------------: | ------: |",
        "| a_b  |     20 | 1e-05 |              98.8 |    12.3 |",
        r"| x\|y |        |   0.3 |                   |     7.0 |",
    ]


def test_latex():
    assert to_latex(TABLE).splitlines()[1:] == [
        r"\begin{tabular}{lrrrr}",
        r"\toprule",
        r"name & epochs & lr & test accuracy (\%) & seconds \\",
        r"\midrule",
        r"a\_b & 20 & 1e-05 & 98.8 & 12.3 \\",
        r"x\textbar{}y &  & 0.3 &  & 7.0 \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]


@pytest.mark.parametrize(
    ("column", "value", "text"),
    [
        ("test_accuracy", 0.5, "50.0"),
        ("val_macro_f1", 0.12345, "12.3"),
        ("test_macro_recall", 0.12345, "12.3"),
        ("test_accuracy_mean", 0.12345, "12.35"),
        ("event_val_accuracy", 0.5, "0.5"),
        ("seconds", 1234.5, "1,234"),
        ("parameters", 11181642, "11,181,642"),
        ("seed", 11181642, "11181642"),
        ("freeze", True, "yes"),
        ("lr", float("inf"), "inf"),
        ("test_accuracy", float("inf"), "inf"),
    ],
)
def test_values_as_people_read_them(column, value, text):
    assert to_cells(to_table([{column: value}])).rows == [[text]]


def test_a_table_without_rows_has_its_header():
    empty = TABLE.iloc[:0]
    assert to_csv(empty) == "name,epochs,lr,test_accuracy,seconds\n"
    assert len(to_markdown(empty).splitlines()) == 2
    assert r"\midrule" in to_latex(empty)


def _read_markdown(cell):
    """Return what GitHub displays: pipes are unescaped first, then everything else."""
    assert not re.search(r"(?<!\\)(\\\\)*\|", cell), "the cell would end here"
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", cell)


def _read_latex(text):
    """Return what LaTeX displays for escaped text."""
    named = {
        "textbackslash": "\\",
        "textasciitilde": "~",
        "textasciicircum": "^",
        "textless": "<",
        "textgreater": ">",
        "textbar": "|",
        "textquotedbl": '"',
    }
    pattern = r"\\([a-z]+)\{\}|\\([{}$&#_%])|\{([\[\]])\}|(-)\{\}|([^\\{}$&#_%~^<>|\"\[\]])"

    def read(match):
        return named[match[1]] if match[1] else next(part for part in match.groups() if part)

    shown = re.sub(pattern, read, text)
    assert not re.sub(pattern, "", text), "characters of LaTeX's own are left"
    return shown


_TEXTS = st.text(st.sampled_from(list('a_b*|\\<&$~`[]{}%#^-" ')) | st.characters(codec="utf-8"))


@given(_TEXTS)
def test_markdown_shows_the_text(text):
    assert _read_markdown(escape_markdown(text)) == one_line(text)


@given(_TEXTS)
def test_latex_shows_the_text(text):
    escaped = escape_latex(text)
    assert _read_latex(escaped) == one_line(text)
    assert "--" not in escaped and not escaped.startswith("[")


@given(_TEXTS)
def test_one_line_can_be_printed(text):
    assert one_line(text).isprintable()


@given(st.lists(st.tuples(_TEXTS, st.floats(allow_nan=False) | st.none()), min_size=1, max_size=5))
def test_csv_gives_back_the_values(pairs):
    text = to_csv(to_table([{"name": name, "value": value} for name, value in pairs]))
    rows = list(csv.reader(io.StringIO(text, newline="")))[1:]
    names = [name if name.isprintable() else one_line(name) for name, _ in pairs]
    assert [row[0] for row in rows] == names
    assert [float(row[1]) if row[1] else None for row in rows] == [value for _, value in pairs]


@pytest.mark.parametrize(
    ("text", "escaped"),
    [("grad_cam_plus_plus", "grad_cam_plus_plus"), ("_x_", r"\_x\_"), ("a__b", r"a\_\_b")],
)
def test_underlines_stay_readable_where_they_mean_nothing(text, escaped):
    assert escape_markdown(text) == escaped
