"""The table of a study: a row per run, from which the study goes on."""

from __future__ import annotations

import csv
import hashlib
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from proxy_keras.io.atomic_files import write_text_atomically
from proxy_keras.settings import DataConfig, TrainConfig

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
_WHOLE = ("seed", "proxies_made", "optimizer_steps")
# A training without proxies replaces nothing, and the loss of one that diverged is no number.
_MAY_BE_EMPTY = ("replaced", "test_loss")
_FINGERPRINT_LENGTH = 16
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
    return hashlib.sha256(text.encode()).hexdigest()[:_FINGERPRINT_LENGTH]


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

    Raises:
        ValueError: A file of the run folder is damaged.
    """
    try:
        about = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        return _row(arm, seed, metrics, about, settings)
    except (OSError, ValueError) as error:
        name, why = "run.json", str(error)
    except (KeyError, TypeError, AttributeError) as error:
        name, why = "metrics.json or run.json", f"{type(error).__name__}: {error}"
    raise ValueError(f"{name} of {folder} is damaged: {why}. Delete that folder to train it again.")


def _row(
    arm: str, seed: int, metrics: dict[str, Any], about: dict[str, Any], settings: str
) -> dict[str, Any]:
    made = [step for step in metrics["proxy_steps"] if step["made"]]
    replaced = sum(step["replaced"] for step in made) / len(made) if made else math.nan
    return {
        "arm": arm,
        "seed": seed,
        "test_accuracy": float(metrics["test"]["accuracy"]),
        "val_accuracy": float(metrics["val"]["accuracy"]),
        "test_loss": float(metrics["test"]["loss"]),
        "seconds": float(metrics["seconds"]),
        "cpu_seconds": float(metrics["cpu_seconds"]),
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

    Attributes:
        path: The file.
        table: The rows.
        messages: What the file has lost.

    Raises:
        ValueError: The file there is not such a table.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "results.csv"
        self.messages: list[str] = []
        self.table = pd.DataFrame(columns=list(COLUMNS))
        if self.path.exists():
            self.table, self.messages = _read(self.path)

    def has(self, arm: str, seed: int, settings: str) -> bool:
        """Whether the run is there, made with these settings."""
        rows = self.table
        same = (rows["arm"] == arm) & (rows["seed"] == seed) & (rows["settings"] == settings)
        return bool(same.any())

    def has_other(self, arm: str, seed: int, settings: str) -> bool:
        """Whether the run is there, made with other settings."""
        rows = self.table
        other = (rows["arm"] == arm) & (rows["seed"] == seed) & (rows["settings"] != settings)
        return bool(other.any())

    def add(self, row: dict[str, Any]) -> None:
        """Adds a row in place of that of the same arm and seed, and writes the table."""
        rows = self.table
        others = rows[~((rows["arm"] == row["arm"]) & (rows["seed"] == row["seed"]))]
        made = pd.DataFrame([row], columns=list(COLUMNS))
        self.table = made if others.empty else pd.concat([others, made], ignore_index=True)
        write_text_atomically(self.path, self.table.to_csv(index=False))

    def of(self, arms: Sequence[str], seeds: Sequence[int]) -> pd.DataFrame:
        """The rows of these arms and seeds, in their order."""
        rows = self.table[self.table["arm"].isin(arms) & self.table["seed"].isin(seeds)]
        order = {name: number for number, name in enumerate(arms)}
        return rows.sort_values(
            ["seed", "arm"], key=lambda c: c.map(order) if c.name == "arm" else c
        ).reset_index(drop=True)


def _read(path: Path) -> tuple[pd.DataFrame, list[str]]:
    """The table of a file, and a message if its last line is cut off; ValueError if damaged."""
    try:
        text = path.read_text(encoding="utf-8")
        reader = csv.reader(text.splitlines())
        lines = [(reader.line_num, cells) for cells in reader if cells]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} is no table: {error}. Move it away.") from error
    if not lines:
        raise ValueError(f"{path} is no table: it is empty. Move it away.")
    names = lines.pop(0)[1]
    if missing := set(COLUMNS) - set(names):
        raise ValueError(f"{path} lacks {', '.join(sorted(missing))}. Move it away to begin anew.")
    messages = []
    if lines and _is_cut(dict(zip(names, lines[-1][1], strict=False)), is_whole=text[-1] == "\n"):
        number, cells = lines.pop()
        messages.append(
            f"{path}: line {number} is cut off and does not count: {','.join(cells)[:40]!r}... "
            "Its run is done again."
        )
    rows: dict[tuple[str, int], dict[str, Any]] = {}
    for number, cells in lines:
        try:
            row = _parsed(names, cells)
            if (row["arm"], row["seed"]) in rows:
                raise ValueError(f"is a second row of {row['arm']}, seed {row['seed']}")
        except ValueError as error:
            raise ValueError(
                f"{path}: line {number} {error}. Correct it, or delete the line to do its run "
                "again."
            ) from error
        rows[row["arm"], row["seed"]] = row
    return pd.DataFrame(list(rows.values()), columns=names), messages


def _is_cut(row: dict[str, str], *, is_whole: bool) -> bool:
    """Whether the last row lost its end: columns, or, without its line feed, a part of one."""
    if set(COLUMNS) - set(row):
        return True
    return not is_whole and len(row["settings"]) < _FINGERPRINT_LENGTH


def _parsed(names: Sequence[str], cells: Sequence[str]) -> dict[str, Any]:
    """The values of a line; ValueError says what is wrong with it."""
    if len(cells) != len(names):
        raise ValueError(f"must have {len(names)} columns, and has {len(cells)}")
    row: dict[str, Any] = dict(zip(names, cells, strict=True))
    for name in set(COLUMNS) - set(_TEXT):
        row[name] = _number(name, row[name])
    return row


def _number(name: str, text: str) -> float:
    try:
        value = float(text or "nan")
    except ValueError:
        value = None
    if value is None or not (math.isfinite(value) or name in _MAY_BE_EMPTY):
        raise ValueError(f"must have a number as `{name}`. Received: {text!r}")
    if name not in _WHOLE:
        return value
    if not value.is_integer():
        raise ValueError(f"must have a whole number as `{name}`. Received: {text!r}")
    return int(value)


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
