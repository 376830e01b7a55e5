"""Tables of the study: means over seeds, and paired differences with their 95% intervals."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SCORES = {
    "recall": "recall",
    "recall_patched": "recall with a patch",
    "auc": "AUC",
    "auc_no_patch": "AUC, none has a patch",
    "auc_all_patched": "AUC, all have one",
    "specificity": "specificity",
}
RATES = ("spread", "spread 0.25", "spread 0.5")
PREFIX = "last stages "
"""What the names of arms begin with in which the last two stages were trained."""

PAIRS = [
    (prefix + arm, prefix + other)
    for prefix in ("", PREFIX)
    for other, arms in (("plain", ("hide", *RATES, "random")), ("random", RATES))
    for arm in arms
]

Table = dict[str, dict[str, dict[str, float]]]
"""Scores in percent by arm, seed and name."""


def interval(differences: NDArray[np.float64]) -> str:
    """Return the mean of paired differences with its 95% t-interval, if there are two or more."""
    from scipy import stats

    mean = differences.mean()
    if len(differences) < 2:
        return f"{mean:+.1f}"
    half = stats.t.ppf(0.975, len(differences) - 1) * stats.sem(differences)
    return f"{mean:+.1f} ({mean - half:+.1f} to {mean + half:+.1f})"


def read(file: Path) -> Table:
    """Return the scores of all finished runs."""
    table: Table = {}
    with file.open(newline="", encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            scores = {name: 100 * float(row[name]) for name in SCORES}
            table.setdefault(row["arm"], {})[row["seed"]] = scores
    return table


def pairs_of(table: Table) -> list[tuple[str, str, list[str]]]:
    """Return the compared arms with the seeds that both have."""
    found = [
        (arm, other, sorted(table.get(arm, {}).keys() & table.get(other, {}).keys()))
        for arm, other in PAIRS
    ]
    return [pair for pair in found if pair[2]]


def print_tables(file: Path) -> None:
    """Print all tables in Markdown."""
    table = read(file)
    print("\nMeans over the seeds, in percent.\n")
    print_rows(["", "seeds", *SCORES.values()])
    for arm, by_seed in table.items():
        means = (np.mean([scores[name] for scores in by_seed.values()]) for name in SCORES)
        print_rows([arm, str(len(by_seed)), *(f"{mean:.1f}" for mean in means)])
    print("\nPaired differences in points, with 95% t-intervals over the seeds.\n")
    names = list(SCORES)[:-1]
    print_rows(["", "seeds", *(SCORES[name] for name in names)])
    for arm, other, seeds in pairs_of(table):
        changes = (interval(differences(table, arm, other, seeds, name)) for name in names)
        print_rows([f"{arm} − {other}", str(len(seeds)), *changes])
    for name in ("recall", "recall_patched"):
        print(f"\nDifference of each seed in {SCORES[name]}.\n")
        print_rows(["", "seeds", "differences"])
        for arm, other, seeds in pairs_of(table):
            each = differences(table, arm, other, seeds, name)
            texts = (", ".join(seeds), ", ".join(f"{change:+.1f}" for change in each))
            print_rows([f"{arm} − {other}", *texts])


def differences(
    table: Table, arm: str, other: str, seeds: list[str], name: str
) -> NDArray[np.float64]:
    """Return the differences of a score between two arms, [seeds]."""
    return np.array([table[arm][seed][name] - table[other][seed][name] for seed in seeds])


def print_over_images(file: Path, runs: Path) -> None:
    """Print differences in recall with intervals over the melanomas instead of the seeds.

    Args:
        file: The results.
        runs: The run folders, which hold what each network found.
    """
    print("\nThe same with 95% t-intervals over the melanomas.\n")
    print_rows(["", SCORES["recall"], SCORES["recall_patched"]])
    for arm, other, seeds in pairs_of(read(file)):
        # [free or patched, images]: share of the seeds that find each melanoma.
        found, before = (
            np.mean([100.0 * np.load(found_file(runs, seed, name)) for seed in seeds], axis=0)
            for name in (arm, other)
        )
        print_rows([f"{arm} − {other}", *map(interval, found - before)])


def found_file(runs: Path, seed: str | int, arm: str) -> Path:
    """Return the file that says which melanomas a network finds, [2, images] bool."""
    return runs / str(seed) / arm.replace(" ", "_") / "found.npy"


def print_rows(cells: list[str]) -> None:
    """Print a row of a table; a header, whose first cell is empty, with its line."""
    print(f"| {' | '.join(cells)} |")
    if not cells[0]:
        print("|---" * len(cells) + "|")
