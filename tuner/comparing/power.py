"""Power of a study: how likely it is to see an effect, before it runs and after."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from tuner.comparing.statistics import ALPHA, noncentrality

TARGET = 0.8
MOST_SEEDS = 1000


@dataclass(frozen=True)
class Power:
    """What a paired t-test over seeds can see.

    Attributes:
        seeds: Number of seeds.
        comparisons: Size of the family that Holm's correction is for.
        sd_points: Standard deviation of the paired differences, points.
        effect_points: The effect asked for, points.
        power: Chance, in [0, 1], to find the effect at the level of Holm's first and severest
            step, 0.05 / `comparisons`. Later steps are milder, so it is a lower bound.
        power_uncorrected: The same at 0.05, as if it were the only comparison.
        detectable_points: The effect that is found with a chance of 80 % at the severest level;
            None with fewer than 2 seeds.
        seeds_needed: Least number of seeds that finds the effect with a chance of 80 % at the
            severest level; None where that is more than 1,000.
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
        """Whether the chance to find the effect is 80 % or more."""
        return self.power >= TARGET


def study_power(
    seeds: int, *, sd_points: float, effect_points: float, comparisons: int = 1
) -> Power:
    """The power of a study, planned with a guessed standard deviation, or done.

    Args:
        seeds: >= 0.
        sd_points: Standard deviation of the paired differences, points, > 0.
        effect_points: > 0.
        comparisons: >= 1.

    Raises:
        ValueError: A number is out of its range.

    Source: the noncentral t distribution of the paired t-test; Cohen, "Statistical Power Analysis
    for the Behavioral Sciences" (1988), for 80 %.
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
        detectable_points=detectable(seeds, alpha) * sd_points if seeds >= 2 else None,
        seeds_needed=counts[place] if place < len(counts) else None,
    )


def paired_t_power(seeds: ArrayLike, dz: ArrayLike, alpha: float) -> NDArray[np.float64]:
    """Chance that a two-sided paired t-test finds an effect.

    Args:
        seeds: Numbers of seeds, >= 2.
        dz: True mean over true standard deviation of the differences; same shape, or one number.
        alpha: Level of the test, in (0, 1).

    Returns:
        In [0, 1], of the arguments' shape.
    """
    n = np.asarray(seeds, np.float64)
    df, shift = n - 1.0, np.abs(dz) * np.sqrt(n)
    limit = special.stdtrit(df, 1.0 - alpha / 2.0)
    # SciPy answers NaN where the probability is below its last digit (3e-16 at most).
    below, wrong_sign = (
        np.nan_to_num(special.nctdtr(df, shift, t), nan=0.0) for t in (limit, -limit)
    )
    return np.clip(1.0 - below + wrong_sign, 0.0, 1.0)


def detectable(seeds: int, alpha: float) -> float:
    """The effect, in standard deviations of the differences, that is found with a chance of 80 %.

    Args:
        seeds: >= 2.
        alpha: Level of the two-sided test, in (0, 0.5). The chance to find the effect with the
            wrong sign is left out; it is below 0.001.
    """
    df = seeds - 1
    limit = special.stdtrit(df, 1.0 - alpha / 2.0)
    return float(noncentrality(df, 1.0 - TARGET, float(limit)) / np.sqrt(seeds))
