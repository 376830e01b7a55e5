"""The table of a study: a row per run, from which the study goes on."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from proxy_keras.config import DataConfig, TrainConfig
from proxy_keras.files import write_text_atomically

COLUMNS = (
    "arm",
    "seed",
    "test_accuracy",
    "val_accuracy",
    "test_loss",
    "seconds",
    "cpu_seconds",
    "proxies_made",
    "replaced",
    "split_sha256",
    "initial_weights_sha256",
    "optimizer_steps",
    "settings",
)
_TEXT = ("arm", "split_sha256", "initial_weights_sha256", "settings")
# Of the conditions, what must be the same in all runs, and in all runs of one seed.
_SAME_IN_ALL = {"split_sha256": "split", "optimizer_steps": "number of optimizer steps"}
_SAME_PER_SEED = {"initial_weights_sha256": "initial weights"}


def fingerprint(config: TrainConfig, module: str) -> str:
    """What tells whether a row was made with these settings by this kind of training.

    Settings that have their default do not count, so that rows outlive settings that come later;
    nor does the folder that the data lie in.
    """
    source = config.data.source
    defaults = TrainConfig(DataConfig("")).to_dict()
    settings = _differing(config.to_dict(), defaults)
    settings["data"]["source"] = source[: source.find(":") + 1] + Path(source).name
    text = json.dumps([module, config.proxy is None, settings], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _differing(values: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """What differs from the defaults, at any depth."""
    found = {}
    for name, value in values.items():
        default = defaults.get(name)
        if isinstance(value, dict) and isinstance(default, dict):
            value, default = _differing(value, default), {}
        if value != default:
            found[name] = value
    return found


def row_of(
    arm: str, seed: int, folder: Path, metrics: dict[str, Any], settings: str
) -> dict[str, Any]:
    """The row of a finished run.

    Args:
        arm: Name of its arm.
        seed: Its seed.
        folder: Its run folder.
        metrics: Its `metrics.json`.
        settings: Its fingerprint.
    """
    about = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    made = [step for step in metrics["proxy_steps"] if step["made"]]
    replaced = sum(step["replaced"] for step in made) / len(made) if made else math.nan
    return {
        "arm": arm,
        "seed": seed,
        "test_accuracy": metrics["test"]["accuracy"],
        "val_accuracy": metrics["val"]["accuracy"],
        "test_loss": metrics["test"]["loss"],
        "seconds": metrics["seconds"],
        "cpu_seconds": metrics["cpu_seconds"],
        "proxies_made": metrics["proxies_made"],
        "replaced": replaced,
        "split_sha256": about["split_sha256"],
        "initial_weights_sha256": about["initial_weights_sha256"],
        "optimizer_steps": about["optimizer_steps"],
        "settings": settings,
    }


class Results:
    """The rows of a study, written to `results.csv` after each.

    Args:
        folder: The folder of the study.

    Raises:
        ValueError: The file there is not such a table.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "results.csv"
        self.table = pd.DataFrame(columns=list(COLUMNS))
        if self._path.exists():
            try:
                table = pd.read_csv(
                    self._path,
                    # "none" is the name of an arm, not a missing value; a hash is no number.
                    keep_default_na=False,
                    na_values={"replaced": ""},
                    dtype=dict.fromkeys(_TEXT, str),
                )
            except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
                raise ValueError(f"{self._path} is no table: {error}. Move it away.") from error
            if missing := set(COLUMNS) - set(table.columns):
                raise ValueError(
                    f"{self._path} lacks {', '.join(sorted(missing))}. Move it away to begin anew."
                )
            self.table = table

    def has(self, arm: str, seed: int, settings: str) -> bool:
        """Whether the run is there, made with these settings."""
        rows = self.table
        same = (rows["arm"] == arm) & (rows["seed"] == seed) & (rows["settings"] == settings)
        return bool(same.any())

    def add(self, row: dict[str, Any]) -> None:
        """Adds a row in place of that of the same arm and seed, and writes the table."""
        rows = self.table
        others = rows[~((rows["arm"] == row["arm"]) & (rows["seed"] == row["seed"]))]
        made = pd.DataFrame([row], columns=list(COLUMNS))
        self.table = made if others.empty else pd.concat([others, made], ignore_index=True)
        write_text_atomically(self._path, self.table.to_csv(index=False))

    def of(self, arms: Sequence[str], seeds: Sequence[int]) -> pd.DataFrame:
        """The rows of these arms and seeds, in their order."""
        rows = self.table[self.table["arm"].isin(arms) & self.table["seed"].isin(seeds)]
        order = {name: number for number, name in enumerate(arms)}
        return rows.sort_values(
            ["seed", "arm"], key=lambda c: c.map(order) if c.name == "arm" else c
        ).reset_index(drop=True)


def check_conditions(rows: pd.DataFrame) -> None:
    """Returns if the runs were made under equal conditions.

    Raises:
        ValueError: They differ in the split, the number of steps, or, for one seed, in the initial
            weights.
    """
    for column, name in _SAME_IN_ALL.items():
        _check_same(rows, column, name, "")
    for seed, of_seed in rows.groupby("seed"):
        for column, name in _SAME_PER_SEED.items():
            _check_same(of_seed, column, name, f" with seed {seed}")


def _check_same(rows: pd.DataFrame, column: str, name: str, where: str) -> None:
    if rows[column].nunique() > 1:
        counts = rows.groupby(column)["arm"].agg(lambda arms: ", ".join(sorted(set(arms))))
        groups = "; ".join(f"{str(value)[:8]}: {arms}" for value, arms in counts.items())
        raise ValueError(
            f"The arms must share the {name}, but they differ{where}: {groups}. Were the data or "
            "the versions changed between the runs? Move the older rows out of results.csv."
        )
