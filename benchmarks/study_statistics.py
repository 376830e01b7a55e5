"""False alarms and power of a study of `tuner`, on simulated data.

python benchmarks/study_statistics.py [--quick]

Each study has 6 arms and 5 seeds; accuracies are a seed effect shared by all arms, plus noise per
run. A null study raises a false alarm if any of its 8 planned comparisons is called a difference.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from itertools import count

import numpy as np
import pandas as pd
from _timing import table
from numpy.typing import NDArray

from tuner.comparing import paired_tests
from tuner.comparing.analysis import analyse
from tuner.comparing.arm_comparison import planned_comparisons
from tuner.comparing.power import study_power

ARMS = ("none", "proxy", "random_mask", "erasing", "proxies_off", "cutmix")
PAIRS = planned_comparisons(ARMS)
PROXY = ARMS.index("proxy")
LEFT, RIGHT = (np.array([ARMS.index(pair[side]) for pair in PAIRS]) for side in (0, 1))

Noise = Callable[[np.random.Generator, tuple[int, ...]], NDArray[np.float64]]


def skewed(draw: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Draw noise with occasional runs far below the others; mean 0, standard deviation 1."""
    return 1.0 - draw.exponential(1.0, shape)


def one_skewed(draw: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Draw normal noise, but skewed noise for `proxy`, so that its differences are skewed."""
    noise = draw.normal(size=shape)
    noise[:, PROXY] = 2.0 * skewed(draw, noise[:, PROXY].shape)
    return noise


def unequal(draw: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Draw normal noise with a different standard deviation per arm, from 0.25 to 4."""
    return draw.normal(size=shape) * np.geomspace(0.25, 4.0, shape[1])[:, None]


NOISES: dict[str, Noise] = {
    "normal": lambda draw, shape: draw.normal(size=shape),
    "heavy tails (t, 3 degrees)": lambda draw, shape: draw.standard_t(3, shape) / 3**0.5,
    "all arms skewed": skewed,
    "one arm skewed": one_skewed,
    "unequal arms": unequal,
}


def studies(
    noise: Noise, number: int, *, seed: int, sd: float = 0.7, effect: float = 0.0, seeds: int = 5
) -> NDArray[np.float64]:
    """Return simulated accuracies [studies, arms, seeds] in [0, 1], for 4,000 test images.

    Args:
        noise: Noise of each run, with a standard deviation of about 1.
        number: Number of studies.
        seed: Seed of the random numbers.
        sd: Standard deviation of the noise, in points.
        effect: Gain of `proxy`, in points.
        seeds: Number of seeds in each study.
    """
    draw = np.random.default_rng(seed)
    points = 80.0 + draw.normal(0.0, 1.0, (number, 1, seeds))
    points = points + sd * noise(draw, (number, len(ARMS), seeds))
    points[:, PROXY] += effect
    return np.rint(points * 40.0) / 4000.0


def corrected(accuracies: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Holm-corrected p-values [studies, comparisons]."""
    differences = paired_tests.paired_differences(accuracies[:, LEFT], accuracies[:, RIGHT])
    return paired_tests.holm(paired_tests.paired_t_test(differences))


def rate(hits: NDArray[np.bool_]) -> str:
    """Format a share in per cent with its standard error."""
    share = float(np.mean(hits))
    return f"{100 * share:.1f} ± {100 * (share * (1 - share) / len(hits)) ** 0.5:.1f}"


def false_alarms(number: int) -> str:
    """Return the shares of null studies with any false alarm, with and without correction."""
    rows = []
    for seed, (name, noise) in enumerate(NOISES.items()):
        accuracies = studies(noise, number, seed=seed)
        differences = paired_tests.paired_differences(accuracies[:, LEFT], accuracies[:, RIGHT])
        p = paired_tests.paired_t_test(differences)
        rows.append(
            [
                name,
                rate((paired_tests.holm(p) <= 0.05).any(axis=1)),
                rate((p <= 0.05).any(axis=1)),
                rate(p[:, 0] <= 0.05),
            ]
        )
    header = ["noise", "any, Holm, %", "any, uncorrected, %", "proxy - none alone, %"]
    return table("False alarms in null studies", rows, header)


def findings(number: int) -> str:
    """Return the shares of studies that find the gain of `proxy`, and the predicted power."""
    rows = []
    cases = [(3.0, 0.5, 5), (3.0, 0.7, 5), (1.0, 0.5, 5), (1.0, 0.5, 10)]
    for seed, (effect, sd, seeds) in zip(count(100), cases):
        found = corrected(
            studies(NOISES["normal"], number, seed=seed, sd=sd, effect=effect, seeds=seeds)
        )
        predicted = study_power(
            seeds, sd_points=sd * 2**0.5, effect_points=effect, comparisons=len(PAIRS)
        )
        rows.append(
            [
                f"{effect:g}",
                f"{sd * 2**0.5:.2f}",
                str(seeds),
                rate(found[:, 0] <= 0.05),
                f"{100 * predicted.power:.1f} to {100 * predicted.power_uncorrected:.1f}",
            ]
        )
    header = ["effect", "sd of differences", "seeds", "found, %", "predicted, %"]
    return table("Effects of proxy over none", rows, header)


def coverage(number: int) -> str:
    """Return the coverage of 95% intervals, and the share of false claims of equivalence."""
    draw = np.random.default_rng(200)
    differences = draw.normal(1.0, 0.7, (number, 5))
    low, high = paired_tests.mean_interval(differences)
    sizes = [paired_tests.effect_size(row) for row in differences[: min(number, 2000)]]
    holds = np.array([size is not None and size.low <= 1 / 0.7 <= size.high for size in sizes])
    g = np.mean([size.hedges_g for size in sizes if size is not None])
    same = paired_tests.equivalence_test(differences, 1.0) <= 0.05
    rows = [
        ["interval of the mean covers the true value", rate((low <= 1.0) & (high >= 1.0)), "95"],
        ["interval of the effect size covers the true value", rate(holds), "95"],
        ["equivalence within 1 point claimed, true difference 1 point", rate(same), "at most 5"],
        ["mean of Hedges' g, true 1.43", f"{g:.2f}", "1.43"],
    ]
    return table("Intervals and equivalence", rows, ["", "measured", "should be"])


def whole_path(number: int) -> str:
    """Return the share of null studies with a false alarm, analysed as in a real study."""
    wrong = []
    for accuracies in studies(NOISES["normal"], number, seed=0):
        study = analyse(
            pd.DataFrame(
                {
                    "arm": np.repeat(ARMS, accuracies.shape[1]),
                    "seed": np.tile(range(accuracies.shape[1]), len(ARMS)),
                    "test_accuracy": accuracies.ravel(),
                    "val_accuracy": accuracies.ravel(),
                    "seconds": 1.0,
                    "cpu_seconds": 1.0,
                    "proxies_made": np.nan,
                    "replaced": np.nan,
                }
            )
        )
        wrong.append(any(item.outcome in ("better", "worse") for item in study.comparisons))
    return f"{rate(np.array(wrong))}% of {number} null studies raise a false alarm."


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer studies")
    number = 500 if parser.parse_args().quick else 20_000
    print(f"{number:,} studies per row, ± one standard error")
    print(false_alarms(number))
    print(findings(number))
    print(coverage(number))
    print(f"\nWith the complete analysis: {whole_path(20 if number == 500 else 200)}")


if __name__ == "__main__":
    main()
