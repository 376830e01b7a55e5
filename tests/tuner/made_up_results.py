"""Simulated results of studies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

ARMS = ("none", "proxy", "random_mask", "erasing", "proxies_off", "cutmix")


def results(accuracies: Mapping[str, Sequence[float | None]]) -> pd.DataFrame:
    """Return a table of runs from test accuracies, in points, by arm in the order of seeds.

    None: the run is missing.
    """
    rows = [
        {
            "arm": arm,
            "seed": seed,
            "test_accuracy": value / 100.0,
            "val_accuracy": 0.5,
            "seconds": 10.0,
            "cpu_seconds": 20.0 if arm == "none" else 25.0,
            "proxies_made": 100.0 if arm.startswith("prox") else np.nan,
            "replaced": 0.1 if arm.startswith("prox") else np.nan,
        }
        for arm, values in accuracies.items()
        for seed, value in enumerate(values)
        if value is not None
    ]
    return pd.DataFrame(rows)


def simulated(
    number: int, *, seed: int, sd: float = 0.7, effect: float = 0.0, kind: str = "normal"
) -> np.ndarray:
    """Return accuracies of studies with 5 seeds: [number, arms, 5], in points.

    Args:
        number: Number of studies.
        seed: Seed of the random numbers.
        sd: Standard deviation of the noise of each run, in points.
        effect: Gain of `proxy`, in points.
        kind: `normal`, `heavy` (tails) or `skewed` noise.
    """
    draw = np.random.default_rng(seed)
    shape = (number, len(ARMS), 5)
    noise = {
        "normal": lambda: draw.normal(size=shape),
        "heavy": lambda: draw.standard_t(3, shape) / 3**0.5,
        "skewed": lambda: 1.0 - draw.exponential(1.0, shape),
    }[kind]()
    points = 80.0 + draw.normal(0.0, 1.0, (number, 1, 5)) + sd * noise
    points[:, ARMS.index("proxy")] += effect
    return points
