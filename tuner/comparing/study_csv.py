"""The statistics of a study as CSV tables."""

from __future__ import annotations

import pandas as pd

from tuner.comparing.analysis import Study
from tuner.comparing.arm_comparison import Comparison

COMPARISON_COLUMNS = (
    "arm",
    "control",
    "n",
    "missing",
    "outcome",
    "mean_points",
    "low_points",
    "high_points",
    "sd_points",
    "p",
    "p_holm",
    "p_sign_flip",
    "p_same_holm",
    "dz",
    "hedges_g",
    "effect_low",
    "effect_high",
    "is_same_sign",
    "power",
    "power_uncorrected",
    "detectable_points",
    "seeds_needed",
    "differences_points",
)


def summary_table(study: Study) -> pd.DataFrame:
    """Return a row per arm, unrounded; column names include units."""
    return pd.DataFrame(
        {
            "arm": arm.arm,
            "n": arm.n,
            "missing": arm.missing,
            "mean_points": arm.mean,
            "sd_points": arm.sd,
            "low_points": arm.low,
            "high_points": arm.high,
            "val_points": arm.val,
            "seconds": arm.seconds,
            "cpu_seconds": arm.cpu_seconds,
            "cpu_ratio": arm.cpu_ratio,
            "proxies_made": arm.proxies_made,
            "replaced": arm.replaced,
        }
        for arm in study.arms
    )


def comparison_table(study: Study) -> pd.DataFrame:
    """Return a row per comparison, unrounded; column names include units."""
    table = pd.DataFrame(map(_comparison_row, study.comparisons), columns=COMPARISON_COLUMNS)
    return table.astype({"seeds_needed": "Int64"})


def _comparison_row(item: Comparison) -> tuple[object, ...]:
    effect, power = item.effect, item.power
    pairs = zip(item.seeds, item.differences, strict=True)
    return (
        item.arm,
        item.control,
        item.n,
        item.missing,
        item.outcome,
        item.mean,
        item.low,
        item.high,
        item.sd,
        item.p,
        item.p_holm,
        item.p_sign_flip,
        item.p_same,
        effect.dz if effect else None,
        effect.hedges_g if effect else None,
        effect.low if effect else None,
        effect.high if effect else None,
        item.is_same_sign,
        power.power if power else None,
        power.power_uncorrected if power else None,
        power.detectable_points if power else None,
        power.seeds_needed if power else None,
        " ".join(f"{seed}:{value:g}" for seed, value in pairs),
    )
