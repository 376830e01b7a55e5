"""Statistics of worst groups on planted accuracies: coverage of intervals, and false alarms.

python benchmarks/group_statistics.py [--quick]

Images are drawn with known true accuracies by group. An interval should hold in 95% of draws, and
models or arms that are equal should be called different in at most 5%.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
from _timing import table
from numpy.typing import NDArray
from study_statistics import ARMS, corrected, rate

from proxy_keras.evaluating.bootstrap import Bootstrap
from proxy_keras.evaluating.bootstrap_statistics import GroupStatistics
from proxy_keras.metrics.proportion_intervals import (
    smallest_share_interval,
    weighted_mean_interval,
    wilson_bounds,
)

SEEDS = 5

PLANTED = {
    "Waterbirds' test split": ([2255, 2255, 642, 642], [0.99, 0.75, 0.55, 0.95]),
    "two nearly worst groups": ([500, 500, 300, 300], [0.90, 0.62, 0.60, 0.95]),
    "six equal groups": ([100] * 6, [0.70] * 6),
    "a dozen images in the worst": ([400, 60, 12, 40], [0.95, 0.80, 0.50, 0.90]),
    "small equal groups": ([40, 20, 12, 30], [0.80] * 4),
    "small groups, nearly all correct": ([40, 20, 12, 30], [0.97] * 4),
}
"""Images and true accuracies by group."""

Noise = Callable[[np.random.Generator, tuple[int, ...]], NDArray[np.float64]]
NOISES: dict[str, Noise] = {
    "normal": lambda draw, shape: draw.normal(size=shape),
    "heavy tails": lambda draw, shape: draw.standard_t(3, shape) / 3**0.5,
    "skewed": lambda draw, shape: 1.0 - draw.exponential(1.0, shape),
}
"""Noise of the accuracies of training runs, with a standard deviation of 1."""


def coverage(number: int) -> str:
    """Return the shares of draws in which each interval holds the true value."""
    rows = []
    for name, (images, accuracies) in PLANTED.items():
        draw = np.random.default_rng(0)
        counts, true = np.array(images), np.array(accuracies)
        weights = counts / counts.sum()
        held: list[list[bool]] = []
        for hits in draw.binomial(counts, true, size=(number, len(counts))):
            lows, highs = wilson_bounds(hits, counts)
            found = int((hits / counts).argmin())
            low, high = smallest_share_interval(hits, counts)
            _, (below, above) = weighted_mean_interval(hits, counts, weights)
            held.append(
                [
                    lows[found] <= true.min() <= highs[found],
                    low <= true.min() <= high,
                    below <= weights @ true <= above,
                ]
            )
        rows.append([name, *(rate(column) for column in np.array(held, bool).T)])
    header = ["groups", "Wilson's of the worst found", "worst group", "adjusted average"]
    return table("Intervals that hold, in %", rows, header)


def false_differences(number: int) -> str:
    """Return the shares of pairs of equal models whose worst groups are called different."""
    rows = []
    for name, (images, accuracies) in PLANTED.items():
        draw = np.random.default_rng(1)
        ids = np.repeat(np.arange(len(images)), images)
        true = np.array(accuracies)[ids]
        called = np.empty([2, number], bool)
        for study in range(number):
            # Half of the images are as hard for one model as for the other.
            shared, own = draw.random(len(ids)), draw.random((2, len(ids)))
            is_shared = draw.random(len(ids)) < 0.5
            both = [
                GroupStatistics(ids, np.where(is_shared, shared, one) < true, len(images))
                for one in own
            ]
            samples = Bootstrap(len(ids), seed=study, resamples=300)
            for row, is_corrected in enumerate((True, False)):
                found = samples.difference(
                    *(one.worst_group_accuracy for one in both), is_corrected=is_corrected
                )
                called[row, study] = not found.low <= 0.0 <= found.high
        rows.append([name, *map(rate, called)])
    header = ["groups", "bias-corrected", "percentile (used)"]
    return table("Equal models called different, in %", rows, header)


def worst_groups(
    images: list[int], accuracies: list[float], noise: Noise, number: int, *, seed: int
) -> NDArray[np.float64]:
    """Return worst-group accuracies [studies, arms, seeds] of studies without a difference.

    Accuracies have an effect of the seed, shared by all arms, and noise per run, each with a
    standard deviation of 0.3 on the scale of log odds.
    """
    draw = np.random.default_rng(seed)
    counts, true = np.array(images), np.array(accuracies)
    odds = np.log(true / (1.0 - true))
    of_seed = draw.normal(size=(number, 1, SEEDS, len(counts)))
    of_run = noise(draw, (number, len(ARMS), SEEDS, len(counts)))
    shares = 1.0 / (1.0 + np.exp(-(odds + 0.3 * of_seed + 0.3 * of_run)))
    return (draw.binomial(counts, shares) / counts).min(axis=-1)


def false_alarms(number: int) -> str:
    """Return the shares of null studies in which any comparison of worst groups is significant."""
    rows = []
    for seed, (name, planted) in enumerate(PLANTED.items()):
        alarms = [
            (corrected(worst_groups(*planted, noise, number, seed=seed)) <= 0.05).any(axis=1)
            for noise in NOISES.values()
        ]
        rows.append([name, *map(rate, alarms)])
    return table("Null studies with a false alarm, in %", rows, ["groups", *NOISES])


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer draws")
    is_quick = parser.parse_args().quick
    print(coverage(500 if is_quick else 10_000))
    print(false_differences(20 if is_quick else 500))
    print(false_alarms(500 if is_quick else 20_000))


if __name__ == "__main__":
    main()
