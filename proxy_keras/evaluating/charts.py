"""The charts of a report: calibration, robustness, proxies over time, differences of two models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from proxy_keras.io.figures import Figure, escape_dollars, truncate

WIDTH = 6.4
"""Inches: about what a phone shows at full width without making the letters too small."""
NAME_LENGTH = 24
"""Characters of a name beside a chart: as many as leave it half of the width, if they are wide."""
GAIN, LOSS, NEUTRAL = "#1b7837", "#b2182b", "#53687e"


def reliability(
    confidence: NDArray[np.float64], accuracy: NDArray[np.float64], counts: NDArray[np.int64]
) -> Figure:
    """How often answers of some confidence are right, with the number of answers below.

    Args:
        confidence: [b] mean confidence in each bin; of empty bins any value.
        accuracy: [b] share of right answers in each bin.
        counts: [b] answers in each bin.
    """
    figure = Figure(figsize=(WIDTH, 4.6), dpi=100, layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    edges = np.linspace(0.0, 1.0, len(counts) + 1)
    filled = counts > 0
    top.plot([0, 1], [0, 1], color="grey", linestyle="--", linewidth=0.8, label="as sure as right")
    top.plot(confidence[filled], accuracy[filled], marker="o", color=NEUTRAL, label="this model")
    top.set(ylabel="right", xlim=(0, 1), ylim=(0, 1.02))
    top.yaxis.set_major_formatter(PercentFormatter(1.0))
    top.legend(loc="upper left")
    bottom.bar(edges[:-1], counts, width=np.diff(edges), align="edge", color=NEUTRAL, alpha=0.7)
    bottom.set(xlabel="confidence of the answer", ylabel="images")
    bottom.xaxis.set_major_formatter(PercentFormatter(1.0))
    bottom.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=3))
    for axis in (top, bottom):
        axis.grid(alpha=0.3)
    return figure


def robustness(clean: float, accuracies: Mapping[str, Sequence[float]]) -> Figure:
    """Accuracy under each corruption, a bar per severity, beside that on clean images.

    Args:
        clean: Accuracy on the images as they are.
        accuracies: For each corruption its accuracy by severity, mild ones first.
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
    """Counts of each proxy step by the epoch at whose end it ran."""
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
    """Differences with their intervals, a row each; coloured where the interval leaves out 0.

    Args:
        names: n rows; of long names the beginning is shown.
        values: [n].
        intervals: [n, 2] lower and upper end.
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
    axis.invert_yaxis()
    axis.set(title=escape_dollars(title), xlabel="difference, with its 95 % interval")
    axis.grid(axis="x", alpha=0.3)
    return figure
