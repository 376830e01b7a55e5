"""The figure of the leakage study: accuracy by number of segments."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from tuner.comparing.study_figures import save

# Okabe and Ito's colours, with markers and line styles that differ in greyscale print.
_STYLES = {
    ("original", "none"): ("#D55E00", "o", "-", "original protocol, no proxies"),
    ("original", "proxies"): ("#E69F00", "s", "--", "original protocol, with proxies"),
    ("clean", "none"): ("#000000", "D", "none", "clean protocol, no proxies"),
    ("clean", "proxies"): ("#0072B2", "^", ":", "clean protocol, with proxies"),
}


def draw(table: pd.DataFrame, title: str) -> Figure:
    """Draw the reported accuracy on the left, and that on untouched test images on the right.

    Args:
        table: The table that `leakage.summary` returns.
        title: Title of the figure.
    """
    figure = Figure(figsize=(10.0, 4.8), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for axis, column, name in zip(
        panels,
        ("validation", "test"),
        ("reported: the last validation images", "untouched test images"),
        strict=True,
    ):
        for number, ((protocol, proxies), style) in enumerate(_STYLES.items()):
            colour, mark, line, label = style
            rows = table[(table["protocol"] == protocol) & (table["proxies"] == proxies)]
            rows = rows.sort_values("segments")
            if rows.empty:
                continue
            # Offset horizontally, so that intervals do not overlap.
            positions = [_POSITIONS[str(n)] + 0.05 * (number - 1.5) for n in rows["segments"]]
            means = 100 * rows[column]
            spans = [
                100 * (rows[column] - rows[f"{column}_low"]).fillna(0.0),
                100 * (rows[f"{column}_high"] - rows[column]).fillna(0.0),
            ]
            axis.errorbar(
                positions,
                means,
                yerr=spans,
                color=colour,
                marker=mark,
                linestyle=line,
                capsize=3,
                label=label,
            )
        axis.set_xticks(list(_POSITIONS.values()), list(_POSITIONS))
        axis.set_xlim(-0.4, len(_POSITIONS) - 0.6)
        axis.set_xlabel("segments of the schedule")
        axis.set_title(name, fontsize="medium")
        axis.grid(axis="y", color="#dddddd")
    panels[0].set_ylabel("accuracy, percent")
    # Inside the panels, the legend would cover an interval.
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, fontsize="small", loc="outside lower center", ncols=2)
    figure.suptitle(title)
    return figure


_POSITIONS = {"1": 0.0, "3": 1.0, "9": 2.0}


def write(folder: Path, table: pd.DataFrame, title: str) -> None:
    """Write `leakage.png` and `leakage.svg`."""
    save(draw(table, title), folder / "leakage")
