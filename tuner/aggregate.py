"""`python -m tuner.aggregate`: one table of all runs, one row per run."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from proxy_keras.io.any_text import allow_any_text
from proxy_keras.io.atomic_files import write_text_atomically
from proxy_keras.io.extras import command_extra
from proxy_keras.io.program_name import program_name

with command_extra("tuner", __name__):
    import pandas as pd

    from tuner.collecting import run_groups
    from tuner.collecting.columns import SHOWN, Row, require_known, sort_key
    from tuner.collecting.row_cache import NAME
    from tuner.collecting.row_filter import RowFilter
    from tuner.collecting.run_row import settings
    from tuner.collecting.run_table import read_runs, to_rows, to_table
    from tuner.collecting.table_formats import to_csv, to_latex, to_markdown
    from tuner.collecting.table_page import to_page

FORMATS = ("csv", "md", "tex", "html")
DONE, SOME_UNREADABLE, ERROR, INTERRUPTED = 0, 1, 2, 130
_MAX_NAMED = 6


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command."""
    parser = argparse.ArgumentParser(
        prog=program_name("tuner.aggregate"),
        description="Collect all runs below folders into one table, one row per run: run folders "
        "of this project and TensorBoard event files. Only new and changed runs are read.",
        epilog="Exit code: 0 done; 1 done, but some runs could not be read (they are listed); "
        "2 invalid arguments, or no runs.",
    )
    parser.add_argument("folders", nargs="+", type=Path, metavar="DIR", help="folders to search")
    parser.add_argument("--to", choices=FORMATS, default="md", help="format (default: md)")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="output file (default: the terminal)"
    )
    parser.add_argument(
        "--columns",
        type=_names,
        metavar="A,B,C",
        help="columns, or 'all' (default: all for csv, else the most common ones)",
    )
    parser.add_argument(
        "--where",
        metavar="CONDITION",
        help="only runs that match, e.g. \"method == 'grad_cam' and epochs >= 20\"",
    )
    parser.add_argument(
        "--group-by",
        type=_names,
        metavar="A,B",
        help="one row per group of finished runs with the same values: test accuracy and seconds",
    )
    parser.add_argument(
        "--best",
        action="store_true",
        help="only the best finished run of each group, or of all runs without --group-by",
    )
    parser.add_argument(
        "--by",
        metavar="COLUMN",
        help="criterion of --best; not of the test split (default: val_accuracy)",
    )
    parser.add_argument("--sort", metavar="COLUMN", help="order of the rows (default: by name)")
    parser.add_argument("--descending", action="store_true", help="with --sort: largest first")
    parser.add_argument(
        "--cache",
        type=Path,
        metavar="FILE",
        help=f"cache of the rows (default: {NAME} in the first DIR)",
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit code; see the end of `--help`."""
    allow_any_text()
    parser = build_parser()
    given = parser.parse_args(arguments)
    if given.by is not None and not given.best:
        parser.error("--by requires --best")
    if given.descending and given.sort is None:
        parser.error("--descending requires --sort")
    try:
        code = _run(given)
        # At interpreter exit, an error could no longer set the exit code.
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # The reader closed the pipe; redirect, or the flush at interpreter exit would fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ERROR
    except KeyboardInterrupt:
        print("stopped; nothing was written", file=sys.stderr)
        return INTERRUPTED
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return ERROR


def _run(given: argparse.Namespace) -> int:
    out: Path | None = given.out
    if out is not None and (out.is_dir() or not out.parent.is_dir()):
        raise ValueError(f"--out: {given.out} must be a file in an existing folder.")
    reading = read_runs(given.folders, cache=given.cache, progress=True)
    print(reading, file=sys.stderr)
    if reading.warning:
        print(reading.warning, file=sys.stderr)
    if reading.table.empty:
        raise ValueError("None of the runs can be read.")
    table = select(reading.table, given)
    text = render(table, given)
    if out is None:
        sys.stdout.write(text)
    else:
        write_text_atomically(out, text)
    return SOME_UNREADABLE if reading.unreadable else DONE


def select(table: pd.DataFrame, given: argparse.Namespace) -> pd.DataFrame:
    """Return the rows and columns that the options select, in their order.

    Raises:
        ValueError: An option names an unknown column, or is invalid.
    """
    columns = [str(column) for column in table.columns]
    rows = to_rows(table)
    if given.where is not None:
        condition = RowFilter(given.where, columns)
        rows = [row for row in rows if condition.matches(row)]
        print(f"{len(rows)} of {len(table)} runs match", file=sys.stderr)
    shown = [c for c in SHOWN if c in columns]
    shown = [c for c in shown if any(row[c] is not None for row in rows) or not rows]
    by: list[str] = given.group_by or []
    require_known(by, columns, "--group-by")
    if given.group_by or given.best:
        rows = _finished(rows)
    if given.best:
        column = given.by or "val_accuracy"
        require_known([column], columns, "--by")
        rows = run_groups.best(rows, by, column)
        shown = list(dict.fromkeys([*by, *shown, column]))
    elif given.group_by:
        _warn_about_mixed_groups(rows, by)
        rows = run_groups.summarise(rows, by)
        columns = shown = list(rows[0]) if rows else [*by, *run_groups.STATISTICS]
    elif all(row["status"] == "finished" for row in rows):
        shown = [column for column in shown if column != "status"]
    if given.sort is not None:
        require_known([given.sort], columns, "--sort")
        rows = _sorted(rows, given.sort, given.descending)
    return to_table(rows, _selected_columns(given, columns, shown))


def render(table: pd.DataFrame, given: argparse.Namespace) -> str:
    """Return the table in the requested format."""
    if given.to == "html":
        is_grouped = given.group_by and not given.best
        title = "Groups of runs" if is_grouped else "Runs"
        return to_page(table, title=title, description=_description(given))
    return {"csv": to_csv, "md": to_markdown, "tex": to_latex}[given.to](table)


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise argparse.ArgumentTypeError(
            f"must be names of columns, such as model,seed. Received: {text!r}"
        )
    return names


def _selected_columns(given: argparse.Namespace, columns: list[str], shown: list[str]) -> list[str]:
    if given.columns is None:
        return columns if given.to == "csv" else shown
    if given.columns == ["all"]:
        return columns
    require_known(given.columns, columns, "--columns")
    return list(dict.fromkeys(given.columns))


def _finished(rows: list[Row]) -> list[Row]:
    done = run_groups.finished(rows)
    if len(done) < len(rows):
        print(f"{len(rows) - len(done)} unfinished runs left out", file=sys.stderr)
    return done


def _warn_about_mixed_groups(rows: list[Row], by: list[str]) -> None:
    """Warn if runs of a group differ in more than their seed, which its interval assumes."""
    differing = run_groups.varying(rows, by, settings())
    if differing:
        more = f" and {len(differing) - _MAX_NAMED} more" if len(differing) > _MAX_NAMED else ""
        print(
            f"note: runs of one group differ in {', '.join(differing[:_MAX_NAMED])}{more}, not "
            "only in their seed; separate them with --group-by or --where",
            file=sys.stderr,
        )


def _sorted(rows: list[Row], column: str, descending: bool) -> list[Row]:
    known = [row for row in rows if row.get(column) is not None]
    known.sort(key=lambda row: sort_key(row[column]), reverse=descending)
    return known + [row for row in rows if row.get(column) is None]


def _description(given: argparse.Namespace) -> str:
    parts = [] if given.where is None else [f"where {given.where}"]
    groups = ", ".join(given.group_by or [])
    if given.best:
        of = f"each {groups}" if groups else "all"
        parts.append(f"the best of {of} by {given.by or 'val_accuracy'}")
    elif groups:
        parts.append(f"by {groups}; 95% intervals of the mean (Student's t)")
    return "; ".join(parts) or "One row per run."


if __name__ == "__main__":
    sys.exit(main())
