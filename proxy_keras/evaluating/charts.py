"""Charts of a report: calibration, robustness, proxies over time, differences of two models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from proxy_keras.io.figures import Figure, escape_dollars, truncate

WIDTH = 6.4
"""Inches; keeps the text readable on a phone at full width."""
NAME_LENGTH = 24
"""Longest class name next to a chart, in characters; leaves half of the width to the chart."""
GAIN, LOSS, NEUTRAL = "#1b7837", "#b2182b", "#53687e"


def reliability(
    confidence: NDArray[np.float64], accuracy: NDArray[np.float64], counts: NDArray[np.int64]
) -> Figure:
    """Draw a reliability diagram above a histogram of the confidence.

    Args:
        confidence: [b] mean confidence in each bin; ignored for empty bins.
        accuracy: [b] accuracy in each bin.
        counts: [b] images in each bin.
    """
    figure = Figure(figsize=(WIDTH, 4.6), dpi=100, layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    edges = np.linspace(0.0, 1.0, len(counts) + 1)
    filled = counts > 0
    top.plot(
        [0, 1], [0, 1], color="grey", linestyle="--", linewidth=0.8, label="perfect calibration"
    )
    top.plot(confidence[filled], accuracy[filled], marker="o", color=NEUTRAL, label="this model")
    top.set(ylabel="accuracy", xlim=(0, 1), ylim=(0, 1.02))
    top.yaxis.set_major_formatter(PercentFormatter(1.0))
    top.legend(loc="upper left")
    bottom.bar(edges[:-1], counts, width=np.diff(edges), align="edge", color=NEUTRAL, alpha=0.7)
    bottom.set(xlabel="confidence", ylabel="images")
    bottom.xaxis.set_major_formatter(PercentFormatter(1.0))
    bottom.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=3))
    for axis in (top, bottom):
        axis.grid(alpha=0.3)
    return figure


def robustness(clean: float, accuracies: Mapping[str, Sequence[float]]) -> Figure:
    """Draw the accuracy under each corruption, one bar per severity, with that on clean images.

    Args:
        clean: Accuracy on clean images.
        accuracies: For each corruption the accuracy by severity, mildest first.
    """
    names = list(accuracies)
    figure = Figure(figsize=(WIDTH, 0.9 + 0.62 * len(names)), dpi=100, layout="constrained")
    axis = figure.subplots()
    severities = max(len(values) for values in accuracies.values())
    for severity in range(severities):
        places = np.arange(len(names)) + (severity - (severities - 1) / 2) * 0.26
        axis.barh(
            places,
            [accuracies[name][severity] for name in names],
            height=0.24,
            color=NEUTRAL,
            alpha=0.4 + 0.6 * severity / max(1, severities - 1),
            label=f"severity {severity + 1}",
        )
    axis.axvline(clean, color=LOSS, linestyle="--", linewidth=1.0, label="clean images")
    axis.set_yticks(range(len(names)), names)
    axis.invert_yaxis()
    axis.set(xlim=(0, 1), xlabel="accuracy")
    axis.xaxis.set_major_formatter(PercentFormatter(1.0))
    axis.grid(axis="x", alpha=0.3)
    figure.legend(loc="outside lower center", ncols=4, fontsize=8)
    return figure


def proxies_over_time(epochs: Sequence[int], series: Mapping[str, Sequence[int]]) -> Figure:
    """Draw the counts of each proxy step over the epochs after which they ran."""
    figure = Figure(figsize=(WIDTH, 3.4), dpi=100, layout="constrained")
    axis = figure.subplots()
    for name, counts in series.items():
        axis.plot(epochs, counts, marker="o", label=name)
    axis.set(xlabel="epoch", ylabel="training images", ylim=(0, None))
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.yaxis.set_major_locator(MaxNLocator(integer=True))
    axis.grid(alpha=0.3)
    axis.legend()
    return figure


def differences(
    names: Sequence[str], values: NDArray[np.float64], intervals: NDArray[np.float64], title: str
) -> Figure:
    """Draw differences with their intervals, one per row, coloured if the interval excludes 0.

    Args:
        names: n names; long ones are cut.
        values: [n].
        intervals: [n, 2] lower and upper bounds.
        title: What is subtracted from what.
    """
    figure = Figure(figsize=(WIDTH, 0.9 + 0.32 * len(names)), dpi=100, layout="constrained")
    axis = figure.subplots()
    for row, (value, (low, high)) in enumerate(zip(values, intervals, strict=True)):
        colour = GAIN if low > 0 else LOSS if high < 0 else NEUTRAL
        axis.plot([low, high], [row, row], color=colour, linewidth=2)
        axis.plot(value, row, marker="o", color=colour)
    axis.axvline(0, color="grey", linewidth=0.8)
    axis.set_yticks(range(len(names)), [truncate(name, NAME_LENGTH) for name in names])
    axis.set_ylim(len(names) - 0.5, -0.5)
    axis.set(title=escape_dollars(title), xlabel="difference with 95% interval")
    axis.grid(axis="x", alpha=0.3)
    return figure
