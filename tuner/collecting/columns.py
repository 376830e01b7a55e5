"""The columns of the table of runs: their order, which are shown, and what their values are."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Sequence

Value = str | int | float | bool | None
"""What a cell holds; None: the run has no such value."""

Row = dict[str, Value]
"""One run: its values by column."""

SHOWN: tuple[str, ...] = (
    "name",
    "status",
    "test_accuracy",
    "val_accuracy",
    "model",
    "arm",
    "method",
    "schedule",
    "data",
    "shortcut",
    "epochs",
    "seed",
    "proxies_made",
    "seconds",
)
"""The columns of a table that is to be read, where none are asked for; results before settings,
because the right of a wide table is out of sight."""

FIRST: tuple[str, ...] = (
    "name",
    "status",
    "data",
    "source",
    "image_size",
    "shortcut",
    "model",
    "arm",
    "method",
    "control",
    "augment",
    "schedule",
    "threshold",
    "weight",
    "subset",
    "replacement",
    "select",
    "explain",
    "show",
    "region",
    "clear_every_step",
    "epochs",
    "lr",
    "batch_size",
    "seed",
    "split_sha256",
    "val_accuracy",
    "val_top5",
    "val_macro_precision",
    "val_macro_recall",
    "val_macro_f1",
    "val_loss",
    "best_val_accuracy",
    "test_accuracy",
    "test_top5",
    "test_macro_precision",
    "test_macro_recall",
    "test_macro_f1",
    "test_loss",
    "proxies_made",
    "seconds",
    "cpu_seconds",
    "parameters",
    "keras_version",
    "tensorflow_version",
    "finished_at",
)
"""The order of the columns. Those that are not named follow as they come."""

_SHARES = ("accuracy", "top5", "macro_precision", "macro_recall", "macro_f1")
_COUNTS = ("parameters", "proxies_made")


def in_order(columns: Iterable[str]) -> list[str]:
    """The columns, each once: those of `FIRST`, then the others as they come."""
    given = list(dict.fromkeys(columns))
    known = set(given)
    return [c for c in FIRST if c in known] + [c for c in given if c not in FIRST]


def require_known(asked: Sequence[str], columns: Collection[str], option: str) -> None:
    """Raises `ValueError` for a column that the table lacks, and names those that are near."""
    for column in asked:
        if column not in columns:
            raise ValueError(f"{option}: {unknown(column, columns)}")


def unknown(column: str, columns: Collection[str]) -> str:
    """What to say of a column that the table lacks."""
    near = difflib.get_close_matches(column, list(columns), n=3, cutoff=0.5)
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    return f"There is no column {column!r}.{hint} The columns are {', '.join(columns)}."


def is_share(column: str) -> bool:
    """Whether the values are shares in [0, 1], which people read in per cent."""
    # Of others' scalars nobody knows the scale.
    return not column.startswith("event_") and any(name in column for name in _SHARES)


def is_count(column: str) -> bool:
    """Whether the values are large counts, as opposed to seeds, sizes and the like."""
    return column in _COUNTS or column.endswith("_examples")


def falls(column: str) -> bool:
    """Whether less is better."""
    return column.endswith(("loss", "seconds"))


def sort_key(value: Value) -> tuple[int, float, str]:
    """Orders values of any kind: numbers, then text, then what is missing."""
    if value is None:
        return (2, 0.0, "")
    return (1, 0.0, value) if isinstance(value, str) else (0, float(value), "")
