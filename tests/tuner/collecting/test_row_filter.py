"""Conditions evaluate as in Python, and everything else is rejected."""

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.collecting.row_filter import RowFilter

ROW = {"name": "a", "method": "grad_cam", "epochs": 20, "lr": 0.5, "show": None, "freeze": True}


def _matches(text, row=ROW):
    return RowFilter(text, ROW).matches(row)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("method == 'grad_cam' and epochs == 20", True),
        ("method == 'grad_cam' and epochs != 20", False),
        ("method == 'x' or not epochs < 20", True),
        ("10 < epochs <= 20", True),
        ("20 < epochs <= 30", False),
        ("method in ['x', 'grad_cam']", True),
        ("method not in ('x', 'grad_cam')", False),
        ("'cam' in method", True),
        ("epochs * lr + 1 == 11 and epochs % 7 == 6 and -lr < 0 and epochs / 2 - 5 == 5", True),
        ("freeze", True),
        ("  freeze == True  ", True),
        ("show == None", True),
        ("show != 1", True),
        ("show < 1", False),
        ("show >= 1", False),
        ("not show < 1", True),
        ("-show + 1 > 0", False),
        ("'a' in show", False),
        ("show in 'abc'", False),
        ("show in [None]", True),
    ],
)
def test_conditions(text, expected):
    assert _matches(text) is expected


@pytest.mark.parametrize(
    "text",
    [
        "print(1)",
        "__import__('os').system('true')",
        "method.upper() == 'X'",
        "method.__class__",
        "method[0] == 'g'",
        "@epochs",
        "[x for x in method]",
        "lambda: 1",
        "f'{epochs}' == '20'",
        "epochs ** 9",
        "epochs << 9",
        "epochs if freeze else lr",
        "(x := 1)",
        "{'a': 1}",
        "{1}",
        "1j",
        "b'x' == method",
        "...",
        "~epochs",
        "epochs is None",
        "*method",
        "epochs; lr",
        "import os",
        "epochs = 1",
        "",
        "(" * 500,
        "-" * 1999 + "1",
        "1 +" * 1000 + "1",
        "method == 'a\0'",
    ],
)
def test_all_else_is_refused(text):
    with pytest.raises(ValueError, match="--where"):
        _matches(text)


def test_unknown_columns_are_told_with_what_is_near():
    with pytest.raises(ValueError, match=r"no column 'metod'. Did you mean method\?.*name, method"):
        _matches("metod == 'x'")
    with pytest.raises(ValueError, match="Put text in quotes"):
        _matches("method == grad_cam")


@pytest.mark.parametrize(
    "text", ["epochs < 'x'", "method + 1 == 2", "'a' * 9 == 'a'", "epochs / 0 == 1", "1 in epochs"]
)
def test_values_that_do_not_go_together_are_told_with_the_run(text):
    with pytest.raises(ValueError, match="run 'a'"):
        _matches(text)


_NAMES = st.sampled_from(["epochs", "method", "lr", "print", "__import__"])
_CALLS = st.recursive(
    st.one_of(_NAMES, st.integers().map(str), st.text(max_size=5).map(repr)),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda p: f"({p[0]})({p[1]})"),
        st.tuples(inner, inner).map(lambda p: f"(({p[0]}) == ({p[1]}))"),
        st.tuples(inner, inner).map(lambda p: f"(({p[0]}) and ({p[1]}))"),
        inner.map(lambda e: f"({e}).real"),
        inner.map(lambda e: f"({e})[0]"),
        inner.map(lambda e: f"[{e}]"),
    ),
    max_leaves=6,
)


@given(_CALLS)
@pytest.mark.filterwarnings("ignore::SyntaxWarning")
def test_what_is_taken_holds_no_call_attribute_or_index(text):
    refused = (ast.Call, ast.Attribute, ast.Subscript)
    names = {n.id for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Name)}
    try:
        RowFilter(text, ROW)
    except ValueError:
        return
    assert not any(isinstance(node, refused) for node in ast.walk(ast.parse(text)))
    assert names <= set(ROW)


@given(st.text())
def test_any_text_is_a_condition_or_a_value_error(text):
    try:
        RowFilter(text, ROW).matches(ROW)
    except ValueError as error:
        assert "--where" in str(error)
