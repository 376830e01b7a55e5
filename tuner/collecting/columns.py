"""The columns of the table of runs: order, default selection and kinds of values."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Sequence

Value = str | int | float | bool | None
"""Value of a cell; None: missing."""

Row = dict[str, Value]
"""The values of a run by column."""

SHOWN: tuple[str, ...] = (
    *("name", "status", "test_worst_group_accuracy", "test_worst_group_accuracy_by_worst_class"),
    *("test_worst_group_accuracy_by_worst_group", "test_adjusted_average"),
    *("test_accuracy", "val_accuracy", "model", "arm", "method", "schedule"),
    *("data", "shortcut", "epochs", "seed", "proxies_made", "seconds"),
)
"""The default columns of tables for people. Results come before settings, because the right end
of a wide table is not visible."""

FIRST: tuple[str, ...] = (
    *("name", "status", "data", "source", "image_size", "shortcut", "model", "arm"),
    *("method", "control", "augment", "schedule", "threshold", "weight", "subset", "replacement"),
    *("select", "explain", "show", "region", "clear_every_step"),
    *("epochs", "lr", "batch_size", "seed", "split_sha256"),
    *("val_accuracy", "val_top5", "val_macro_precision", "val_macro_recall", "val_macro_f1"),
    *("val_balanced_accuracy", "val_worst_class_accuracy", "val_worst_group_accuracy"),
    *("val_worst_group", "val_adjusted_average", "val_loss", "best_val_accuracy"),
    *("test_worst_group_accuracy", "test_worst_group", "test_adjusted_average"),
    *("test_balanced_accuracy", "test_worst_class_accuracy"),
    *("test_accuracy", "test_top5", "test_macro_precision", "test_macro_recall", "test_macro_f1"),
    *("test_loss", "proxies_made", "seconds", "cpu_seconds", "parameters"),
    *("keras_version", "tensorflow_version", "finished_at"),
)
"""The order of the columns. All others follow in order of appearance."""

_FRACTIONS = ("accuracy", "adjusted_average", "top5", "macro_precision", "macro_recall", "macro_f1")
_COUNTS = ("parameters", "proxies_made")


def ordered(columns: Iterable[str]) -> list[str]:
    """Return the unique columns: those of `FIRST`, then the others in order of appearance."""
    given = list(dict.fromkeys(columns))
    known = set(given)
    return [c for c in FIRST if c in known] + [c for c in given if c not in FIRST]


def require_known(names: Sequence[str], columns: Collection[str], option: str) -> None:
    """Raise `ValueError` for an unknown column, with suggestions."""
    for name in names:
        if name not in columns:
            raise ValueError(f"{option}: {unknown_column(name, columns)}")


def unknown_column(name: str, columns: Collection[str]) -> str:
    """Return the error message for an unknown column."""
    close = difflib.get_close_matches(name, list(columns), n=3, cutoff=0.5)
    hint = f" Did you mean {' or '.join(close)}?" if close else ""
    return f"There is no column {name!r}.{hint} The columns are {', '.join(columns)}."


def is_fraction(column: str) -> bool:
    """Return whether the values are fractions in [0, 1], displayed as percent."""
    # The scale of scalars from other tools is unknown.
    return not column.startswith("event_") and any(name in column for name in _FRACTIONS)


def is_count(column: str) -> bool:
    """Return whether the values are large counts, unlike seeds or sizes."""
    return column in _COUNTS or column.endswith("_examples")


def is_lower_better(column: str) -> bool:
    """Return whether lower values are better."""
    return column.endswith(("loss", "seconds"))


def sort_key(value: Value) -> tuple[int, float, str]:
    """Return a key that sorts numbers first, then text, then missing values."""
    if value is None:
        return (2, 0.0, "")
    return (1, 0.0, value) if isinstance(value, str) else (0, float(value), "")
