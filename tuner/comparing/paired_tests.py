"""Tests, intervals and effect sizes of paired differences."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

CONFIDENCE = 0.95
ALPHA = 0.05

# All sign flips up to 16 differences (2^16 <= 99,999), and this many random ones beyond.
_MAX_FLIPS = 99_999
_RESOLUTION = 1e-9
_SCIPY_LIMIT = 1000.0


def paired_differences(a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    """Return `100 * (a - b)` without rounding noise.

    Args:
        a: [..., n] fractions, in [0, 1].
        b: [..., n] fractions of the same seeds, in [0, 1].

    Returns:
        [..., n] float64, in points, rounded to 1e-9 so that equal differences compare equal.
    """
    fractions = np.asarray(a, np.float64) - np.asarray(b, np.float64)
    return np.round(100.0 * fractions, 9) + 0.0  # turns -0.0 into 0.0


def mean_interval(
    values: ArrayLike, confidence: float = CONFIDENCE
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the lower and upper ends of Student's confidence interval for the mean.

    Args:
        values: [..., n] with n >= 2.
        confidence: In (0, 1).

    Returns:
        Two arrays [...] in the unit of the values; both equal the mean if all values are equal.

    Raises:
        ValueError: n < 2.
    """
    given = np.asarray(values, np.float64)
    interval = _t_test(given).confidence_interval(confidence)
    low, high = (np.where(_is_constant(given), given[..., 0], end) for end in interval)
    return low, high


def paired_t_test(differences: ArrayLike) -> NDArray[np.float64]:
    """Return the two-sided p-values of the paired t-test.

    The t-test is undefined if all differences are equal. The p-value is then 1 if they are 0, and
    otherwise that of `sign_flip_test`, 2 / 2^n.

    Args:
        differences: [..., n] with n >= 2.

    Returns:
        [...] float64, in (0, 1].

    Raises:
        ValueError: n < 2.

    Source: Student, "The probable error of a mean" (1908).
    """
    given = np.asarray(differences, np.float64)
    p = _t_test(given).pvalue
    constant = np.where(given[..., 0] == 0.0, 1.0, 2.0 ** (1 - given.shape[-1]))
    return np.where(_is_constant(given), constant, p)


def equivalence_test(differences: ArrayLike, bound: float) -> NDArray[np.float64]:
    """Return p-values of two one-sided t-tests: small if the mean is within `bound` of zero.

    Args:
        differences: [..., n] with n >= 2.
        bound: > 0, in the unit of the differences.

    Returns:
        [...] float64, in [0, 1]: the larger p-value of the two tests. If all differences are
        equal, the t-test is undefined; the p-value is then 0 if they are 0, and otherwise 1.

    Raises:
        ValueError: n < 2.

    Source: Schuirmann, "A comparison of the two one-sided tests procedure" (1987).
    """
    given = np.asarray(differences, np.float64)
    above, below = _t_test(given, -bound, "greater"), _t_test(given, bound, "less")
    constant = np.where(given[..., 0] == 0.0, 0.0, 1.0)
    return np.where(_is_constant(given), constant, np.maximum(above.pvalue, below.pvalue))


def sign_flip_test(differences: ArrayLike) -> float:
    """Return the two-sided p-value of the sign-flip permutation test.

    It assumes no distribution, only that positive and negative differences are equally likely if
    the arms are equal. Up to 16 differences all 2^n flips are counted: the p-value is exact and at
    least 2 / 2^n. Beyond that, 99,999 random flips are drawn with a fixed seed.

    Args:
        differences: [n] with n >= 1.

    Returns:
        In (0, 1].

    Raises:
        ValueError: n < 1.

    Source: Fisher, "The Design of Experiments" (1935), section 21; Phipson and Smyth (2010) for
    the random flips.
    """
    # Sums of whole numbers are exact, so tied flips compare equal.
    steps = np.rint(np.asarray(differences, np.float64) / _RESOLUTION)
    if steps.size < 1:
        raise ValueError("A sign-flip test needs 1 difference or more. Received: 0")
    if steps.size == 1:
        return 1.0
    test = stats.permutation_test(
        (steps,),
        lambda flipped, axis: np.abs(np.sum(flipped, axis=axis)),
        permutation_type="samples",
        alternative="greater",
        n_resamples=_MAX_FLIPS,
        random_state=0,
    )
    return float(test.pvalue)


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Return p-values with Holm's correction, which bounds the family-wise error rate.

    Args:
        p_values: [..., m] in [0, 1]; each last axis is a family of m tests.

    Returns:
        [..., m] float64 in the order of the p-values, each between p and min(1, m * p).

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
    """Standardised mean difference: the mean divided by the standard deviation.

    Attributes:
        dz: The observed value; biased upwards for few seeds.
        hedges_g: `dz` times Hedges' exact small-sample correction.
        low: Lower end of the 95% interval for the true effect size.
        high: Upper end of that interval.
    """

    dz: float
    hedges_g: float
    low: float
    high: float


def effect_size(differences: ArrayLike) -> EffectSize | None:
    """Return the effect size of paired differences; None if n < 3 or all differences are equal.

    The interval inverts the noncentral t distribution, which is exact for normal differences. It
    is wide: with 5 seeds, an observed 2 is compatible with anything from 0.4 to 3.6.

    Args:
        differences: [n].

    Source: Hedges, "Distribution theory for Glass's estimator of effect size" (1981), for the
    correction; Steiger and Fouladi, "Noncentrality interval estimation" (1997), for the interval.
    """
    given = np.asarray(differences, np.float64)
    if given.size < 3 or _is_constant(given):
        return None
    n = given.size
    df, dz, root = n - 1, float(given.mean() / given.std(ddof=1)), np.sqrt(n)
    factor = np.exp(special.gammaln(df / 2) - special.gammaln((df - 1) / 2)) / np.sqrt(df / 2)
    tail = (1.0 - CONFIDENCE) / 2.0
    low, high = (noncentrality(df, p, dz * root) / root for p in (1.0 - tail, tail))
    return EffectSize(dz, float(dz * factor), float(low), float(high))


def noncentrality(df: int, p: float, t: float) -> float:
    """Return the noncentrality of the t distribution whose `p`-quantile is `t`.

    Args:
        df: Degrees of freedom, >= 1.
        p: In (0, 1).
        t: Any number.
    """
    if abs(t) <= _SCIPY_LIMIT:
        return float(special.nctdtrinc(df, p, t))
    # SciPy's search takes minutes for such t, for which the normal part is negligible.
    return float(t * np.sqrt(special.chdtri(df, p if t > 0.0 else 1.0 - p) / df))


def _t_test(values: NDArray[np.float64], mean: float = 0.0, alternative: str = "two-sided") -> Any:
    """Return SciPy's t-test over the last axis; it is NaN where all values are equal."""
    if values.shape[-1] < 2:
        raise ValueError(
            f"An interval or a t-test needs 2 values or more. Received: {values.shape[-1]}"
        )
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)
        return stats.ttest_1samp(values, mean, axis=-1, alternative=alternative)


def _is_constant(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    return np.all(values == values[..., :1], axis=-1)
