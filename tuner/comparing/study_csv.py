"""The statistics of a study as CSV tables."""

from __future__ import annotations

import functools

import pandas as pd

from tuner.comparing.analysis import Study


def summary_table(study: Study) -> pd.DataFrame:
    """Return a row per arm, unrounded; column names include units."""
    points = {name: f"{name}_points" for name in ("mean", "sd", "low", "high", "val")}
    table = pd.DataFrame(list(study.arms)).drop(columns="accuracies", errors="ignore")
    return table.rename(columns=points)


def comparison_table(study: Study) -> pd.DataFrame:
    """Return a row per comparison, unrounded; column names include units."""
    items = study.comparisons
    columns = {
        "arm": "arm",
        "control": "control",
        "n": "n",
        "missing": "missing",
        "outcome": "outcome",
        "mean_points": "mean",
        "low_points": "low",
        "high_points": "high",
        "sd_points": "sd",
        "p": "p",
        "p_holm": "p_holm",
        "p_sign_flip": "p_sign_flip",
        "p_same_holm": "p_same",
        "dz": "effect.dz",
        "hedges_g": "effect.hedges_g",
        "effect_low": "effect.low",
        "effect_high": "effect.high",
        "is_same_sign": "is_same_sign",
        "power": "power.power",
        "power_uncorrected": "power.power_uncorrected",
        "detectable_points": "power.detectable_points",
        "seeds_needed": "power.seeds_needed",
    }
    table = pd.DataFrame({name: [_get(c, path) for c in items] for name, path in columns.items()})
    table["differences_points"] = [
        " ".join(f"{seed}:{value:g}" for seed, value in zip(c.seeds, c.differences, strict=True))
        for c in items
    ]
    return table.astype({"seeds_needed": "Int64"})


def _get(item: object, path: str) -> object:
    """Return a nested attribute; None if it or its parent is None."""
    return functools.reduce(lambda value, name: getattr(value, name, None), path.split("."), item)
