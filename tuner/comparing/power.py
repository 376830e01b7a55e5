"""Statistical power of a study, planned or finished."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from tuner.comparing.paired_tests import ALPHA, noncentrality

TARGET = 0.8
MOST_SEEDS = 1000


@dataclass(frozen=True)
class Power:
    """Power of a paired t-test over seeds.

    Attributes:
        seeds: Number of seeds.
        comparisons: Size of the family for Holm's correction.
        sd_points: Standard deviation of the paired differences, in points.
        effect_points: The target effect, in points.
        power: Probability of detecting the effect at the level of Holm's first and strictest
            step, 0.05 / `comparisons`. Later steps are less strict, so this is a lower bound.
        power_uncorrected: The same at 0.05, as if this were the only comparison.
        detectable_points: The effect detected with 80% power at the strictest level; None with
            fewer than 2 seeds.
        seeds_needed: The smallest number of seeds with 80% power at the strictest level; None if
            it exceeds 1,000.
    """

    seeds: int
    comparisons: int
    sd_points: float
    effect_points: float
    power: float
    power_uncorrected: float
    detectable_points: float | None
    seeds_needed: int | None

    @property
    def is_enough(self) -> bool:
        """Whether the power is 80% or more."""
        return self.power >= TARGET


def study_power(
    seeds: int, *, sd_points: float, effect_points: float, comparisons: int = 1
) -> Power:
    """Return the power of a study, from an observed or an assumed standard deviation.

    Args:
        seeds: >= 0.
        sd_points: Standard deviation of the paired differences, in points, > 0.
        effect_points: > 0.
        comparisons: >= 1.

    Raises:
        ValueError: A number is out of its range.

    Source: the noncentral t distribution of the paired t-test; Cohen, "Statistical Power Analysis
    for the Behavioral Sciences" (1988), for 80%.
    """
    for name, value in (("sd_points", sd_points), ("effect_points", effect_points)):
        if not 0.0 < value < np.inf:
            raise ValueError(f"`{name}` must be > 0. Received: {name}={value}")
    if seeds < 0 or comparisons < 1:
        raise ValueError(
            "`seeds` must be >= 0 and `comparisons` >= 1. "
            f"Received: seeds={seeds}, comparisons={comparisons}"
        )
    alpha, ratio = ALPHA / comparisons, effect_points / sd_points
    counts = range(2, MOST_SEEDS + 1)
    place = bisect_left(counts, True, key=lambda n: bool(paired_t_power(n, ratio, alpha) >= TARGET))
    return Power(
        seeds,
        comparisons,
        sd_points,
        effect_points,
        power=float(paired_t_power(seeds, ratio, alpha)) if seeds >= 2 else 0.0,
        power_uncorrected=float(paired_t_power(seeds, ratio, ALPHA)) if seeds >= 2 else 0.0,
        detectable_points=detectable_effect(seeds, alpha) * sd_points if seeds >= 2 else None,
        seeds_needed=counts[place] if place < len(counts) else None,
    )


def paired_t_power(seeds: ArrayLike, dz: ArrayLike, alpha: float) -> NDArray[np.float64]:
    """Return the power of the two-sided paired t-test.

    Args:
        seeds: Numbers of seeds, >= 2.
        dz: True mean over true standard deviation of the differences; same shape, or one number.
        alpha: Level of the test, in (0, 1).

    Returns:
        In [0, 1], of the shape of the arguments.
    """
    n = np.asarray(seeds, np.float64)
    df, shift = n - 1.0, np.abs(dz) * np.sqrt(n)
    limit = special.stdtrit(df, 1.0 - alpha / 2.0)
    # SciPy returns NaN for probabilities below its precision (at most 3e-16).
    below, wrong_sign = np.nan_to_num(special.nctdtr(df, shift, [limit, -limit]), nan=0.0)
    return np.clip(1.0 - below + wrong_sign, 0.0, 1.0)


def detectable_effect(seeds: int, alpha: float) -> float:
    """Return the effect detected with 80% power, in standard deviations of the differences.

    Args:
        seeds: >= 2.
        alpha: Level of the two-sided test, in (0, 0.5). The probability of a significant effect
            of the wrong sign is ignored; it is below 0.001.
    """
    df = seeds - 1
    limit = float(special.stdtrit(df, 1.0 - alpha / 2.0))
    return float(noncentrality(df, 1.0 - TARGET, limit) / np.sqrt(seeds))
