"""The results table of a study: a row per run, from which the study resumes."""

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
from proxy_keras.training.selections import LAST, SELECTIONS, measures_of
from tuner.comparing.conditions import SAME_IN_ALL, SAME_PER_SEED
from tuner.comparing.measures import ALL

# `test_accuracy` has its own place.
_MEASURED = tuple(measure.column for measure in ALL if measure.column != "test_accuracy")
_SELECTED = tuple(f"{name}_epoch" for name in SELECTIONS)
COLUMNS = (
    *("arm", "seed", "test_accuracy", "val_accuracy", "test_loss", "seconds", "cpu_seconds"),
    *("proxies_made", "replaced", "split_sha256", "initial_weights_sha256", "optimizer_steps"),
    *("extra_steps", "cues_ticked", "cue_cpu_seconds"),
    *_MEASURED,
    *_SELECTED,
    *("groups_sha256", "val_groups", "op_determinism", "auto_precision", "settings"),
)
_OF_CUES = ("cues_ticked", "cue_cpu_seconds")
_ADDED_LATER = ("extra_steps", *_OF_CUES, *_MEASURED, *_SELECTED)
# Missing in tables made before there were cues, groups, and methods with steps of their own, and
# before determinism could be off, or the precision was noted.
_NOTED_LATER = ("groups_sha256", "val_groups", "op_determinism", "auto_precision")
_MAY_BE_MISSING = (*_ADDED_LATER, *_NOTED_LATER)
_TEXT = (
    *("arm", "split_sha256", "initial_weights_sha256"),
    *(*_NOTED_LATER, "settings"),
)
_WHOLE = ("seed", "proxies_made", "optimizer_steps")
# Runs without proxies replace nothing, a diverged run has the loss NaN, groups may be unknown.
_MAY_BE_EMPTY = ("replaced", "test_loss", *_ADDED_LATER)
_FINGERPRINT_LENGTH = 16


def fingerprint(config: TrainConfig, module: str) -> str:
    """Return a hash of the settings and the training module of a run.

    Settings at their default are left out, so that rows stay valid when new settings are added.
    So are the folders that contain the data, the groups and the cues.
    """
    source = config.data.source
    defaults = TrainConfig(DataConfig("")).compared()
    settings = _differing(config.compared(), defaults)
    settings["data"]["source"] = source[: source.find(":") + 1] + Path(source).name
    if config.data.groups is not None:
        settings["data"]["groups"] = Path(config.data.groups).name
    if config.proxy is not None and config.proxy.cues and config.proxy.source_arm is None:
        settings["proxy"]["cues"] = Path(config.proxy.cues).name
    text = json.dumps([module, config.proxy is None, settings], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:_FINGERPRINT_LENGTH]


def _differing(values: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """Return the nested values that differ from the defaults."""
    found = {}
    for name, value in values.items():
        default = defaults.get(name)
        if isinstance(value, dict) and isinstance(default, dict):
            value, default = _differing(value, default), {}
        if value != default:
            found[name] = value
    return found


def row_of(
    arm: str,
    seed: int,
    folder: Path,
    metrics: dict[str, Any],
    settings: str,
    cues: dict[str, Any] | None = None,
    *,
    is_auto: bool = True,
) -> dict[str, Any]:
    """Return the row of a finished run.

    Args:
        arm: Name of the arm.
        seed: Seed of the run.
        folder: Run folder.
        metrics: Content of `metrics.json`.
        settings: Fingerprint of the settings.
        cues: Content of the `metrics.json` of the cues that were found for the run, whose time is
            part of its own; None: none were.
        is_auto: The machine chose the precision.

    Raises:
        ValueError: A file of the run folder, or that of the cues, is damaged.
    """
    try:
        run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        row = _row(arm, seed, metrics, run, settings)
        row["auto_precision"] = run.get("precision", "") if is_auto else ""
        return row if cues is None else _with_cues(row, cues)
    except (OSError, ValueError) as error:
        name, why = "run.json", str(error)
    except (KeyError, TypeError, AttributeError) as error:
        name, why = "metrics.json or run.json", f"{type(error).__name__}: {error}"
    raise ValueError(f"{name} of {folder} is damaged: {why}. Delete that folder to retrain it.")


def _row(
    arm: str, seed: int, metrics: dict[str, Any], run: dict[str, Any], settings: str
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
        **{name: run[name] for name in (*SAME_IN_ALL, *SAME_PER_SEED)},
        "extra_steps": float(metrics.get("robust", {}).get("optimizer_steps", 0)),
        **dict.fromkeys(_OF_CUES, math.nan),
        **_selections(metrics),
        "groups_sha256": _groups_of(run),
        "val_groups": run.get("val_groups") or "",
        "op_determinism": metrics.get("op_determinism", "on"),
        "settings": settings,
    }


def _groups_of(run: dict[str, Any]) -> str:
    """Return the hash of the groups; "none" without groups; empty for runs of earlier versions."""
    return (run["groups_sha256"] or "none") if "groups_sha256" in run else ""


def _selections(metrics: dict[str, Any]) -> dict[str, float]:
    """Return the measures on the test split under each selection, and the selected epochs."""
    last = {"test": measures_of(metrics["test"])}
    selected = {LAST: last, **metrics.get("selected", {})}
    found = {
        measure.column: selected.get(measure.selection, {}).get("test", {}).get(measure.name)
        for measure in ALL
        if measure.column in _MEASURED
    }
    found |= {f"{name}_epoch": selected.get(name, {}).get("epoch") for name in SELECTIONS}
    return {name: math.nan if value is None else float(value) for name, value in found.items()}


def _with_cues(row: dict[str, Any], cues: dict[str, Any]) -> dict[str, Any]:
    return {
        **row,
        "seconds": row["seconds"] + cues["seconds"],
        "cpu_seconds": row["cpu_seconds"] + cues["cpu_seconds"],
        "cues_ticked": float(cues["ticked"]),
        "cue_cpu_seconds": float(cues["cpu_seconds"]),
    }


class Results:
    """Rows of a study, written to `results.csv` after each run.

    Args:
        folder: The folder of the study.

    Attributes:
        path: Path of the file.
        table: The rows.
        messages: Warnings about rows lost from the file.

    Raises:
        ValueError: The existing file is not a results table.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "results.csv"
        self.messages: list[str] = []
        self.table = pd.DataFrame(columns=list(COLUMNS))
        if self.path.exists():
            self.table, self.messages = _read(self.path)

    def has(self, arm: str, seed: int, settings: str) -> bool:
        """Return whether the table has the run with these settings."""
        return bool((self.table[self._is_run(arm, seed)]["settings"] == settings).any())

    def has_other(self, arm: str, seed: int, settings: str) -> bool:
        """Return whether the table has the run with other settings."""
        return bool((self.table[self._is_run(arm, seed)]["settings"] != settings).any())

    def add(self, row: dict[str, Any]) -> None:
        """Add a row, replacing that of the same arm and seed, and write the table."""
        others = self.table[~self._is_run(row["arm"], row["seed"])]
        new = pd.DataFrame([row], columns=list(COLUMNS))
        self.table = new if others.empty else pd.concat([others, new], ignore_index=True)
        write_text_atomically(self.path, self.table.to_csv(index=False))

    def _is_run(self, arm: str, seed: int) -> pd.Series[bool]:
        return (self.table["arm"] == arm) & (self.table["seed"] == seed)

    def of(self, arms: Sequence[str], seeds: Sequence[int]) -> pd.DataFrame:
        """Return the rows of these arms and seeds, in their order."""
        rows = self.table[self.table["arm"].isin(arms) & self.table["seed"].isin(seeds)]
        order = {name: number for number, name in enumerate(arms)}
        return rows.sort_values(
            ["seed", "arm"], key=lambda c: c.map(order) if c.name == "arm" else c
        ).reset_index(drop=True)


def _read(path: Path) -> tuple[pd.DataFrame, list[str]]:
    """Return the table of a file and a message if its last line is truncated.

    Raises:
        ValueError: The file is damaged.
    """
    try:
        text = path.read_text(encoding="utf-8")
        reader = csv.reader(text.splitlines())
        lines = [(reader.line_num, cells) for cells in reader if cells]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} is not a table: {error}. Move it away.") from error
    if not lines:
        raise ValueError(f"{path} is not a table: it is empty. Move it away.")
    names = lines.pop(0)[1]
    if missing := set(COLUMNS) - set(names) - set(_MAY_BE_MISSING):
        raise ValueError(f"{path} lacks {', '.join(sorted(missing))}. Move it away to start over.")
    messages = []
    if lines and _is_truncated(
        dict(zip(names, lines[-1][1], strict=False)), ends_in_newline=text[-1] == "\n"
    ):
        number, cells = lines.pop()
        messages.append(
            f"{path}: line {number} is truncated and ignored: {','.join(cells)[:40]!r}... "
            "Its run will be repeated."
        )
    rows: dict[tuple[str, int], dict[str, Any]] = {}
    for number, cells in lines:
        try:
            row = _parsed(names, cells)
            if (row["arm"], row["seed"]) in rows:
                raise ValueError(f"duplicates {row['arm']}, seed {row['seed']}")
        except ValueError as error:
            raise ValueError(
                f"{path}: line {number} {error}. Correct it, or delete the line to repeat its run."
            ) from error
        rows[row["arm"], row["seed"]] = row
    # The last column tells whether a line is complete, see `_is_truncated`.
    columns = [*(name for name in names if name not in COLUMNS), *COLUMNS]
    return pd.DataFrame(list(rows.values()), columns=columns), messages


def _is_truncated(row: dict[str, str], *, ends_in_newline: bool) -> bool:
    """Return whether the last row lacks columns or, without a newline, part of its last cell."""
    if set(COLUMNS) - set(row) - set(_MAY_BE_MISSING):
        return True
    return not ends_in_newline and len(row["settings"]) < _FINGERPRINT_LENGTH


def _parsed(names: Sequence[str], cells: Sequence[str]) -> dict[str, Any]:
    """Return the values of a line; ValueError if it is invalid."""
    if len(cells) != len(names):
        raise ValueError(f"must have {len(names)} columns, but has {len(cells)}")
    # Tables without these columns were made when determinism was always on, and without groups.
    row: dict[str, Any] = {**dict.fromkeys(_NOTED_LATER, ""), "op_determinism": "on"}
    row |= dict(zip(names, cells, strict=True))
    for name in set(COLUMNS) & set(names) - set(_TEXT):
        row[name] = _number(name, row[name])
    return row


def _number(name: str, text: str) -> float:
    try:
        value = float(text or "nan")
    except ValueError:
        value = None
    if value is None or not (math.isfinite(value) or name in _MAY_BE_EMPTY):
        raise ValueError(f"needs a number for `{name}`. Received: {text!r}")
    if name not in _WHOLE:
        return value
    if not value.is_integer():
        raise ValueError(f"needs a whole number for `{name}`. Received: {text!r}")
    return int(value)
