"""Statistics of paired differences: intervals, tests, their correction, effect sizes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

CONFIDENCE = 0.95
ALPHA = 0.05

_EXACT_SEEDS = 16
_RANDOM_FLIPS = 99_999
_STEP = 1e-9
_SCIPY_LIMIT = 1000.0


def paired_differences(a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    """`100 * (a - b)`, free of rounding noise.

    Args:
        a: [..., n] shares, in [0, 1].
        b: [..., n] shares of the same seeds, in [0, 1].

    Returns:
        [..., n] float64, in points, rounded to 1e-9, so that equal differences are equal numbers.
    """
    shares = np.asarray(a, np.float64) - np.asarray(b, np.float64)
    return np.round(100.0 * shares, 9) + 0.0  # so that -0.0 becomes 0.0


def mean_interval(
    values: ArrayLike, confidence: float = CONFIDENCE
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lower and upper ends of Student's interval for the mean.

    Args:
        values: [..., n] with n >= 2.
        confidence: In (0, 1).

    Returns:
        Two arrays [...] in the values' unit; both equal the mean where all values are equal.

    Raises:
        ValueError: n < 2.
    """
    mean, sd, n = _moments(values)
    half = special.stdtrit(n - 1, 0.5 + confidence / 2.0) * sd / np.sqrt(n)
    return mean - half, mean + half


def paired_t_test(differences: ArrayLike) -> NDArray[np.float64]:
    """Two-sided p-values of the paired t-test.

    The t-test has no error to measure by where all differences are equal: there the p-value is 1
    if they are 0, and that of `sign_flip_test`, 2 / 2^n, if they are not.

    Args:
        differences: [..., n] with n >= 2.

    Returns:
        [...] float64, in (0, 1].

    Raises:
        ValueError: n < 2.

    Source: Student, "The probable error of a mean" (1908).
    """
    mean, sd, n = _moments(differences)
    t = mean * np.sqrt(n) / np.where(sd > 0.0, sd, 1.0)
    constant = np.where(mean == 0.0, 1.0, 2.0 ** (1 - n))
    p = np.where(sd > 0.0, 2.0 * special.stdtr(n - 1, -np.abs(t)), constant)
    return np.asarray(p, np.float64)


def equivalence_test(differences: ArrayLike, bound: float) -> NDArray[np.float64]:
    """p-values of two one-sided t-tests: small where the mean lies within `bound` of zero.

    Args:
        differences: [..., n] with n >= 2.
        bound: > 0, in the differences' unit.

    Returns:
        [...] float64, in [0, 1]: the larger one of the two tests. Where all differences are equal,
        0 if they are 0 and 1 else, since the t-test has no error to measure by.

    Raises:
        ValueError: n < 2.

    Source: Schuirmann, "A comparison of the two one-sided tests procedure" (1987).
    """
    mean, sd, n = _moments(differences)
    t = (np.abs(mean) - bound) * np.sqrt(n) / np.where(sd > 0.0, sd, 1.0)
    constant = np.where(mean == 0.0, 0.0, 1.0)
    return np.asarray(np.where(sd > 0.0, special.stdtr(n - 1, t), constant), np.float64)


def sign_flip_test(differences: ArrayLike) -> float:
    """Two-sided p-value of the test that flips the signs of the differences.

    It needs no distribution, only that the differences are as likely to be positive as negative
    where the arms are equal. All 2^n flips are taken up to 16 differences, so that the p-value is
    exact and never below 2 / 2^n; beyond, 99,999 random ones with a fixed seed.

    Args:
        differences: [n] with n >= 1.

    Returns:
        In (0, 1].

    Raises:
        ValueError: n < 1.

    Source: Fisher, "The Design of Experiments" (1935), section 21; Phipson and Smyth (2010) for
    the random flips.
    """
    given = np.asarray(differences, np.float64)
    n = given.size
    if n < 1:
        raise ValueError("A sign-flip test needs 1 difference or more. Received: 0")
    # Sums of whole numbers are exact: ties between flips are ties.
    steps = np.rint(given / _STEP).astype(np.int64)
    observed = abs(int(steps.sum()))
    if n <= _EXACT_SEEDS:
        bits = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
        return float(np.mean(np.abs((1 - 2 * bits) @ steps) >= observed))
    bits = np.random.default_rng(0).integers(0, 2, (_RANDOM_FLIPS, n))
    extreme = int(np.sum(np.abs((1 - 2 * bits) @ steps) >= observed))
    return (extreme + 1) / (_RANDOM_FLIPS + 1)


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """p-values corrected for a family of m tests; the chance of any false alarm stays in bounds.

    Args:
        p_values: [..., m] in [0, 1]; each last axis is a family.

    Returns:
        [..., m] float64: in the order of the p-values, each between p and min(1, m * p).

    Source: Holm, "A simple sequentially rejective multiple test procedure" (1979).
    """
    p = np.asarray(p_values, np.float64)
    order = np.argsort(p, axis=-1, kind="stable")
    ascending = np.take_along_axis(p, order, axis=-1) * np.arange(p.shape[-1], 0, -1)
    stepped = np.minimum(np.maximum.accumulate(ascending, axis=-1), 1.0)
    adjusted = np.empty_like(p)
    np.put_along_axis(adjusted, order, stepped, axis=-1)
    return adjusted


@dataclass(frozen=True)
class EffectSize:
    """A standardised mean difference: the mean over the standard deviation of the differences.

    Attributes:
        dz: As observed; too large on average where seeds are few.
        hedges_g: `dz` times Hedges' exact factor for small samples.
        low: Lower end of the 95 % interval for the true one.
        high: Upper end of it.
    """

    dz: float
    hedges_g: float
    low: float
    high: float


def effect_size(differences: ArrayLike) -> EffectSize | None:
    """The effect size of paired differences; None where n < 3 or all differences are equal.

    The interval inverts the noncentral t distribution, which is exact for normal differences. It
    is wide: at 5 seeds, an observed 2 goes with anything from 0.4 to 3.6.

    Args:
        differences: [n].

    Source: Hedges, "Distribution theory for Glass's estimator of effect size" (1981), for the
    factor; Steiger and Fouladi, "Noncentrality interval estimation" (1997), for the interval.
    """
    given = np.asarray(differences, np.float64)
    if given.size < 3:
        return None
    mean, sd, n = _moments(given)
    if sd == 0.0:
        return None
    df, dz, root = n - 1, float(mean / sd), np.sqrt(n)
    factor = np.exp(special.gammaln(df / 2) - special.gammaln((df - 1) / 2)) / np.sqrt(df / 2)
    tail = (1.0 - CONFIDENCE) / 2.0
    low, high = (noncentrality(df, p, dz * root) / root for p in (1.0 - tail, tail))
    return EffectSize(dz, float(dz * factor), float(low), float(high))


def noncentrality(df: int, p: float, t: float) -> float:
    """The noncentrality of the t distribution whose `p`-quantile is `t`.

    Args:
        df: Degrees of freedom, >= 1.
        p: In (0, 1).
        t: Any number.
    """
    if abs(t) <= _SCIPY_LIMIT:
        return float(special.nctdtrinc(df, p, t))
    # SciPy's search takes minutes out there, where the normal part has become negligible.
    return float(t * np.sqrt(special.chdtri(df, p if t > 0.0 else 1.0 - p) / df))


def _moments(values: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
    """Mean and standard deviation over the last axis; exactly 0 where all values are equal."""
    given = np.asarray(values, np.float64)
    n = given.shape[-1]
    if n < 2:
        raise ValueError(f"An interval or a t-test needs 2 values or more. Received: {n}")
    is_constant = np.all(given == given[..., :1], axis=-1)
    mean = np.where(is_constant, given[..., 0], given.mean(axis=-1))
    return mean, np.where(is_constant, 0.0, given.std(axis=-1, ddof=1)), n
