"""Paired comparisons of arms with their controls, corrected as one family."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from proxy_keras.settings import CONTROLS
from tuner.comparing import paired_tests
from tuner.comparing.arm_names import PROXY_ARM, base_name, parts
from tuner.comparing.power import Power, study_power


@dataclass(frozen=True)
class Comparison:
    """Comparison of an arm with a control on their common seeds. None: not available.

    Attributes:
        arm: Name of the arm.
        control: Name of the arm it is compared with.
        seeds: Seeds that both arms have.
        missing: Number of seeds of the study that one or both arms lack.
        differences: [n] arm minus control, in points of test accuracy, one per seed.
        mean: Mean of the differences; None without a seed.
        sd: Standard deviation of the differences; None with fewer than 2 seeds.
        low: Lower end of the 95% paired t interval, not corrected for the number of comparisons;
            None with fewer than 2 seeds, or if all differences are equal but not 0.
        high: Upper end of that interval.
        p: p-value of the paired t-test; None with fewer than 2 seeds.
        p_holm: `p`, corrected over all planned comparisons of the study.
        p_sign_flip: p-value of the sign-flip test, which assumes no normal distribution.
        p_same: p-value of the equivalence test within the target effect, Holm-corrected over all
            planned comparisons.
        effect: Standardised effect size; None with fewer than 3 seeds or equal differences.
        power: None if the standard deviation is unknown or 0.
        outcome: `better` or `worse`: significant at 0.05 after correction. `same`: equivalence
            significant at 0.05 after correction. `identical`: all differences are 0. `unshown`:
            none of these. `untested`: fewer than 2 seeds.
    """

    arm: str
    control: str
    seeds: tuple[int, ...]
    missing: int
    differences: tuple[float, ...]
    mean: float | None
    sd: float | None
    low: float | None
    high: float | None
    p: float | None
    p_holm: float | None
    p_sign_flip: float | None
    p_same: float | None
    effect: paired_tests.EffectSize | None
    power: Power | None
    outcome: str

    @property
    def n(self) -> int:
        """Number of seeds that both arms have."""
        return len(self.seeds)

    @property
    def is_same_sign(self) -> bool:
        """Whether the differences of all seeds have the same sign."""
        return self.n > 0 and (min(self.differences) > 0.0 or max(self.differences) < 0.0)


def is_proxy(arm: str) -> bool:
    """Return whether an arm trains on proxies by its name: `proxy`, `proxy:thesis`, `proxy_a`."""
    return base_name(arm).startswith(PROXY_ARM)


def planned_comparisons(arms: Sequence[str], reference: str = "none") -> list[tuple[str, str]]:
    """Return pairs of each arm with the reference, and of each `proxy...` arm with its controls.

    An arm that is two, such as `proxy+class_balanced`, is also compared with each of them alone.
    The controls are the arms `random_mask`, `erasing` and so on with the same preset:
    `random_mask:shortcut` is a control of `proxy:shortcut`.
    """
    pairs = [(arm, reference) for arm in arms if arm != reference]
    for arm in arms:
        if is_proxy(arm) and arm != reference:
            controls = [control + arm[len(base_name(arm)) :] for control in CONTROLS]
            pairs += [(arm, name) for name in controls if name in arms and name != reference]
        if base_name(arm) not in CONTROLS:
            alone = parts(arm) or ()
            pairs += [(arm, name) for name in alone if name in arms and name != reference]
    return pairs


def compare(
    pairs: Sequence[tuple[str, str]],
    accuracies: Mapping[str, pd.Series[float]],
    *,
    seeds: int,
    effect_points: float,
) -> tuple[Comparison, ...]:
    """Return the comparisons of a study, in the order of `pairs`.

    Comparisons that cannot be tested yet count in Holm's correction, so that the correction does
    not change as runs are added.

    Args:
        pairs: (arm, control): the family of the correction.
        accuracies: Test accuracies of each arm, in [0, 1], indexed by seed.
        seeds: Number of seeds of the study.
        effect_points: The target effect, in points, > 0.
    """
    common = [accuracies[a].index.intersection(accuracies[b].index) for a, b in pairs]
    differences = [
        paired_tests.paired_differences(accuracies[a].loc[both], accuracies[b].loc[both])
        for (a, b), both in zip(pairs, common, strict=True)
    ]
    p = [float(paired_tests.paired_t_test(d)) if len(d) >= 2 else 1.0 for d in differences]
    p_same = [
        float(paired_tests.equivalence_test(d, effect_points)) if len(d) >= 2 else 1.0
        for d in differences
    ]
    return tuple(
        _comparison(*row, missing=seeds - len(row[1]), family=len(pairs), effect=effect_points)
        for row in zip(
            pairs,
            common,
            differences,
            p,
            paired_tests.holm(p),
            paired_tests.holm(p_same),
            strict=True,
        )
    )


def _comparison(
    pair: tuple[str, str],
    both: pd.Index[int],
    differences: NDArray[np.float64],
    p: float,
    p_holm: float,
    p_same: float,
    *,
    missing: int,
    family: int,
    effect: float,
) -> Comparison:
    n = len(differences)
    is_tested = n >= 2
    mean = float(differences.mean()) if n else None
    low = high = sd = power = None
    if is_tested:
        is_constant = bool(np.all(differences == differences[0]))
        sd = 0.0 if is_constant else float(np.std(differences, ddof=1))
        if not is_constant or mean == 0.0:
            low, high = map(float, paired_tests.mean_interval(differences))
        if not is_constant:
            power = study_power(n, sd_points=sd, effect_points=effect, comparisons=family)
    return Comparison(
        *pair,
        seeds=tuple(map(int, both)),
        missing=missing,
        differences=tuple(map(float, differences)),
        mean=mean,
        sd=sd,
        low=low,
        high=high,
        p=p if is_tested else None,
        p_holm=float(p_holm) if is_tested else None,
        p_sign_flip=paired_tests.sign_flip_test(differences) if is_tested else None,
        p_same=float(p_same) if is_tested else None,
        effect=paired_tests.effect_size(differences) if is_tested else None,
        power=power,
        outcome=_outcome(differences, float(p_holm), float(p_same)),
    )


def _outcome(differences: NDArray[np.float64], p_holm: float, p_same: float) -> str:
    if len(differences) < 2:
        return "untested"
    if not differences.any():
        return "identical"
    if p_holm <= paired_tests.ALPHA:
        return "better" if differences.mean() > 0.0 else "worse"
    return "same" if p_same <= paired_tests.ALPHA else "unshown"
