"""Figures of a study: the accuracy of each arm, and the paired differences."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from proxy_keras.io.atomic_files import write_atomically
from tuner.comparing.analysis import Study
from tuner.comparing.verdict import p_value, points_of, signed

# From the colour-blind-safe palette of Okabe and Ito (2008). These two also differ in lightness,
# for greyscale print.
ARM_COLOUR = "#0072B2"
REFERENCE_COLOUR = "#000000"
SEED_COLOUR = "#707070"
BAND_COLOUR = "#e4e4e4"

_WIDTH_INCHES = 10.0
_ROW_INCHES = 0.55
_MARGIN_INCHES = 1.6


def accuracy(study: Study, *, title: str) -> Figure:
    """Draw each arm's mean with its 95% interval over seeds, and every seed, in points.

    Arms without a run keep an empty row. The dashed line is the mean of the reference.
    """
    arms = study.arms
    figure, axis = _rows(len(arms), title)
    values = [value for arm in arms for value in arm.accuracies]
    ends = [(arm.low, arm.high) for arm in arms]
    limits = _limits(values, ends, least=0.0)
    for row, arm in enumerate(arms):
        is_reference = arm.arm == study.reference
        colour = REFERENCE_COLOUR if is_reference else ARM_COLOUR
        _seeds(axis, arm.accuracies, row)
        _interval(axis, row, arm.mean, arm.low, arm.high, colour, limits=limits, is_filled=True)
        if arm.mean is None:
            _annotate(axis, row, "no run yet")
        else:
            note = "" if arm.low is not None else " (1 seed)"
            _annotate(axis, row, f"{arm.mean:.1f}{note}")
        if is_reference and arm.mean is not None:
            axis.axvline(arm.mean, color=colour, linestyle="--", linewidth=1.0, zorder=1)
    _label_rows(axis, [_short(arm.arm) for arm in arms])
    axis.set_xlim(*limits)
    axis.set_xlabel(
        f"{study.measure.words}, points: mean, 95% interval over seeds; grey: each seed"
    )
    return figure


def differences(study: Study, *, title: str) -> Figure:
    """Draw each comparison's mean paired difference with its 95% interval, in points.

    Filled marks are significant after Holm's correction, open ones are not; the band is the
    target effect.
    """
    items = study.comparisons
    figure, axis = _rows(len(items), title)
    bound = study.effect_points
    values = [value for item in items for value in item.differences]
    ends = [(item.low, item.high) for item in items]
    limits = _limits([*values, -bound, bound], ends, least=-100.0)
    axis.axvspan(-bound, bound, color=BAND_COLOUR, linewidth=0.0, zorder=0)
    axis.axvline(0.0, color=REFERENCE_COLOUR, linestyle="--", linewidth=1.0, zorder=1)
    for row, item in enumerate(items):
        is_shown = item.outcome in ("better", "worse")
        _seeds(axis, item.differences, row)
        _interval(
            axis, row, item.mean, item.low, item.high, ARM_COLOUR, limits=limits, is_filled=is_shown
        )
        if item.mean is None:
            _annotate(axis, row, "no seed in common")
        elif item.outcome == "identical":
            _annotate(axis, row, "identical")
        elif item.p_holm is None:
            _annotate(axis, row, f"{signed(item.mean)} (1 seed)")
        else:
            _annotate(axis, row, f"{signed(item.mean)}, {p_value(item.p_holm)}")
        is_new_control = row > 0 and item.control != items[row - 1].control
        if is_new_control and items[row - 1].control == study.reference:
            axis.axhline(row - 0.5, color=SEED_COLOUR, linewidth=0.6, zorder=1)
    _label_rows(axis, [_pair(item.arm, item.control) for item in items])
    axis.set_xlim(*limits)
    axis.set_xlabel(
        f"difference in {study.measure.words}, points: mean, 95% interval; grey: each seed; "
        f"band: ±{points_of(bound)}\n"
        "filled: significant after Holm's correction; open: not significant; right: corrected p",
    )
    return figure


def save(figure: Figure, stem: Path) -> list[Path]:
    """Write `stem` as `.png` (1,000 pixels wide) and `.svg`, and return the two paths.

    Equal figures give the same bytes.
    """
    metadata = {".png": {"Software": None}, ".svg": {"Date": None, "Creator": None}}
    paths = []
    for suffix, entries in metadata.items():
        path = stem.with_name(stem.name + suffix)
        with mpl.rc_context({"svg.hashsalt": "study"}):
            write_atomically(path, partial(figure.savefig, metadata=entries))
        paths.append(path)
    return paths


def _rows(count: int, title: str) -> tuple[Figure, Axes]:
    height = _MARGIN_INCHES + _ROW_INCHES * max(count, 1)
    layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.08)
    figure = Figure(figsize=(_WIDTH_INCHES, height), dpi=100, layout=layout)
    axis = figure.subplots()
    figure.suptitle(_escape(title), fontsize=12, wrap=True)
    axis.set_ylim(max(count, 1) - 0.5, -0.5)
    axis.grid(axis="x", color="#d0d0d0", linewidth=0.6)
    axis.set_axisbelow(True)
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.tick_params(axis="y", length=0)
    return figure, axis


def _label_rows(axis: Axes, names: Sequence[str]) -> None:
    axis.set_yticks(range(len(names)), [_escape(name) for name in names])
    axis.tick_params(labelsize=11)
    axis.xaxis.label.set_fontsize(10)


def _seeds(axis: Axes, values: Sequence[float], row: int) -> None:
    axis.plot(
        values,
        [row + 0.22] * len(values),
        linestyle="",
        marker="o",
        markersize=5,
        markerfacecolor="none",
        markeredgecolor=SEED_COLOUR,
        zorder=2,
    )


def _interval(
    axis: Axes,
    row: int,
    mean: float | None,
    low: float | None,
    high: float | None,
    colour: str,
    *,
    limits: tuple[float, float],
    is_filled: bool,
) -> None:
    if mean is None:
        return
    y = row - 0.08
    if low is not None and high is not None:
        axis.plot([low, high], [y, y], color=colour, linewidth=2.2, zorder=3)
        inset = 0.008 * (limits[1] - limits[0])
        for end, limit, arrow in ((low, limits[0], "<"), (high, limits[1], ">")):
            is_cut = (end < limit) if arrow == "<" else (end > limit)
            axis.plot(
                [limit + (inset if arrow == "<" else -inset) if is_cut else end],
                [y],
                marker=arrow if is_cut else "|",
                markersize=9,
                color=colour,
                zorder=3,
            )
    face = colour if is_filled else "white"
    axis.plot([mean], [y], marker="D", markersize=8, color=colour, markerfacecolor=face, zorder=4)


def _limits(
    values: Sequence[float], ends: Sequence[tuple[float | None, float | None]], *, least: float
) -> tuple[float, float]:
    """Return the axis limits: the range of all seeds, plus at most the same range on each side.

    An interval over two seeds can be a hundred times as long as that. Intervals that exceed the
    limits, or the possible range from `least` to 100 points, end in an arrow.
    """
    if not values:
        return 0.0, 1.0
    lowest, highest = min(values), max(values)
    span = max(highest - lowest, 0.5)
    low = min([lowest, *(end for end, _ in ends if end is not None)])
    high = max([highest, *(end for _, end in ends if end is not None)])
    low, high = max(low, lowest - span, least), min(high, highest + span, 100.0)
    margin = 0.04 * max(high - low, 0.5)
    return low - margin, high + margin


def _annotate(axis: Axes, row: int, text: str) -> None:
    """Write a note to the right of a row, outside the axis."""
    axis.annotate(
        _escape(text),
        (1.02, row),
        xycoords=axis.get_yaxis_transform(),
        va="center",
        fontsize=10,
        annotation_clip=False,
    )


def _pair(arm: str, control: str) -> str:
    one_line = f"{_short(arm)} − {_short(control)}"
    return one_line if len(one_line) <= 32 else one_line.replace(" − ", "\n− ")


def _short(name: str, length: int = 32) -> str:
    return name if len(name) <= length else name[: length - 1] + "…"


def _escape(text: str) -> str:
    """Escape dollar signs, which would start a formula."""
    return text.replace("$", r"\$")
