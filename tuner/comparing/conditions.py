"""The conditions under which the runs of a study were trained."""

from __future__ import annotations

import pandas as pd

from proxy_keras.training.selections import OTHER_SHARES

# Conditions that must be equal in all runs, in all of one seed, and where they are known.
SAME_IN_ALL = {"split_sha256": "split", "optimizer_steps": "number of optimizer steps"}
SAME_PER_SEED = {"initial_weights_sha256": "initial weights"}
SAME_WHERE_KNOWN = {"groups_sha256": "groups"}
SAME_PER_SEED_WHERE_KNOWN = {"auto_precision": "precision, which each machine chose by itself"}


def determinism_notes(rows: pd.DataFrame) -> list[str]:
    """Return what to say about runs that cannot be repeated bit for bit; empty without any."""
    count = int(rows["op_determinism"].isin(("off", "mixed")).sum())
    if count == 0:
        return []
    return [
        f"Op determinism was off in {count} of {len(rows)} runs (`--no-determinism`): training "
        "them again gives slightly different accuracies."
    ]


def selection_notes(rows: pd.DataFrame) -> list[str]:
    """Return what to say about validation images with other group shares than training images."""
    if not (rows["val_groups"] == OTHER_SHARES).any():
        return []
    return [
        "The groups of the validation images have other shares than those of the training images, "
        "so whatever is selected on them, also by their accuracy, uses knowledge of the groups. "
        "`--val-like-train` validates on images with the shares of training."
    ]


def check_conditions(rows: pd.DataFrame) -> None:
    """Check that the runs were trained under equal conditions.

    Raises:
        ValueError: They differ in the split, the number of steps or the groups of the images, or,
            within one seed, in the initial weights or in what `--precision auto` chose.
    """
    for column, name in SAME_WHERE_KNOWN.items():
        _check_same(rows[rows[column] != ""], column, name, "")
    for column, name in SAME_IN_ALL.items():
        _check_same(rows, column, name, "")
    for seed, of_seed in rows.groupby("seed"):
        for column, name in SAME_PER_SEED.items():
            _check_same(of_seed, column, name, f" with seed {seed}")
        for column, name in SAME_PER_SEED_WHERE_KNOWN.items():
            _check_same(of_seed[of_seed[column] != ""], column, name, f" with seed {seed}")


def _check_same(rows: pd.DataFrame, column: str, name: str, where: str) -> None:
    if rows[column].nunique() > 1:
        counts = rows.groupby(column)["arm"].agg(lambda arms: ", ".join(sorted(set(arms))))
        groups = "; ".join(f"{_short(value)}: {arms}" for value, arms in counts.items())
        raise ValueError(
            f"The arms must share the {name}, but differ{where}: {groups}. Did the data, the "
            "versions or the machine change between the runs? Move the older rows out of "
            "results.csv."
        )


def _short(value: object) -> str:
    """Return a value as text, or the start of a hash."""
    text = str(value)
    return text[:8] if len(text) == 64 else text
