"""The row of a run folder: settings, results and versions."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from proxy_keras.settings import DataConfig, ProxyConfig, TrainConfig
from proxy_keras.settings.options import compared
from proxy_keras.training.selections import LAST, selected_column
from tuner.collecting.columns import Row, Value

METRICS = "metrics.json"
"""Written last: present only in finished runs."""

FILES: tuple[str, ...] = ("config.json", "run.json", METRICS, "history.csv", "timing.csv")
"""The files that a row is read from. A row is unchanged if these are."""

_BARE = ("source", "shortcut", "image_size")
_HASH_LENGTH = 12


def read_run(folder: Path) -> Row:
    """Return the row of a run folder, without its name.

    Settings that are newer than the run have their default.

    Raises:
        ValueError, OSError: A file is missing or invalid.
    """
    is_finished = (folder / METRICS).exists()
    row: Row = {"status": "finished" if is_finished else "unfinished"}
    _add_config(row, _load(folder / "config.json"))
    _add_about(row, _load(folder / "run.json"))
    if is_finished:
        _add_metrics(row, _load(folder / METRICS))
        finished = datetime.fromtimestamp((folder / METRICS).stat().st_mtime, tz=UTC)
        row["finished_at"] = finished.isoformat(timespec="seconds")
    _add_history(row, folder)
    return row


def settings() -> list[str]:
    """Return the columns of settings, except the seed."""
    row: Row = {}
    _add_config(row, {"data": {"source": ""}, "proxy": {}})
    return [column for column in row if column not in ("data", "arm", "seed")]


def short_name(source: str) -> str:
    """Return the short name of a data source: `cats` for `/data/cats` and `npz:/data/cats.npz`."""
    kind, found, rest = source.partition(":")
    if found and kind == "npz":
        return Path(rest).stem
    if found and kind == "tfds":
        return rest
    return Path(source).name or source


def arm(config: Mapping[str, Any]) -> str:
    """Return the name of the arm in a study that a run would be, with parts joined by "+"."""
    proxy = config.get("proxy")
    parts = [] if proxy is None else [proxy.get("control") or "proxy"]
    augment = config.get("augment") or []
    parts += augment if isinstance(augment, (list, tuple)) else [augment]
    return "+".join(map(str, parts)) or "none"


def _add_config(row: Row, config: Mapping[str, Any]) -> None:
    data, proxy = config.get("data"), config.get("proxy")
    if not isinstance(data, dict) or not isinstance(data.get("source"), str):
        raise ValueError("config.json has no data source.")
    if proxy is not None and not isinstance(proxy, dict):
        raise ValueError("config.json: `proxy` must be null or an object.")
    row["data"] = short_name(data["source"])
    row["arm"] = arm(config)
    known = TrainConfig(DataConfig(data["source"])).compared()
    for key, value in {**known, **config}.items():
        if key not in ("data", "proxy"):
            row[key] = _cell(value)
    for key, value in {**DataConfig("").compared(), **compared(data)}.items():
        row[key if key in _BARE and key not in row else f"data_{key}"] = _cell(value)
    if proxy is None:
        row["method"] = "none"
    else:
        for key, value in {**ProxyConfig().to_dict(), **proxy}.items():
            _add(row, "proxy", key, value)


def _add_about(row: Row, about: Mapping[str, Any]) -> None:
    for key, value in about.items():
        if key == "versions" and isinstance(value, dict):
            for name, version in value.items():
                row[f"{name.replace('-', '_')}_version"] = _cell(version)
        elif key == "split_sha256":
            row[key] = str(value)[:_HASH_LENGTH]
        else:
            _add(row, "run", key, value)


def _add_metrics(row: Row, metrics: Mapping[str, Any]) -> None:
    for key, value in metrics.items():
        if isinstance(value, dict):
            # Tables (per class, confusion) do not fit in a cell; the run folder has them as files.
            scalars = {k: v for k, v in value.items() if not isinstance(v, (list, dict))}
            row.update({f"{key}_{k}": _cell(v) for k, v in scalars.items()})
            row.update({f"{key}_{k}": _cell(v) for k, v in _measures_of_groups(value).items()})
            if key == "selected":
                row.update(_selected(value))
        elif key == "proxy_steps" and isinstance(value, list):
            row[key] = len(value)
        else:
            _add(row, "metrics", key, value)


def _measures_of_groups(scores: Mapping[str, Any]) -> dict[str, Any]:
    """Return the measures of groups of a split; empty without groups."""
    groups = scores.get("groups")
    names = ("worst_group", "worst_group_accuracy", "adjusted_average", "unknown_images")
    return {name: groups[name] for name in names} if isinstance(groups, dict) else {}


def _selected(selections: Mapping[str, Any]) -> Row:
    """Return the epochs that validation selected, and the measures on the test split after them."""
    row: Row = {}
    for name, one in selections.items():
        if name != LAST:
            row[f"{name}_epoch"] = _cell(one["epoch"])
            row.update({selected_column(k, name): _cell(v) for k, v in one["test"].items()})
    return row


def _add_history(row: Row, folder: Path) -> None:
    """Add the results of the epochs, which unfinished runs have too."""
    epochs = _numbers(folder / "history.csv")
    row["epochs_done"] = len(epochs)
    if epochs:
        row["train_accuracy"] = epochs[-1].get("accuracy")
        row["train_loss"] = epochs[-1].get("loss")
    validated = [e["val_accuracy"] for e in epochs if "val_accuracy" in e]
    validated = [a for a in validated if not math.isnan(a)]
    if validated:
        row["best_val_accuracy"] = max(validated)
    timing = _numbers(folder / "timing.csv")
    if timing:
        row.setdefault("seconds", sum(epoch.get("seconds", 0.0) for epoch in timing))


def _add(row: Row, section: str, key: str, value: object) -> None:
    row[f"{section}_{key}" if key in row else key] = _cell(value)


def _cell(value: object) -> Value:
    """Return a JSON value as one cell."""
    if value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, (list, tuple)) and all(isinstance(v, (str, int, float)) for v in value):
        return "+".join(map(str, value))
    return json.dumps(value, sort_keys=True) if value else ""


def _load(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path.name} is not valid JSON: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path.name} does not contain an object.")
    return content


def _numbers(path: Path) -> list[dict[str, float]]:
    """Return the rows of a numeric CSV file; empty if it is missing. Empty cells are NaN."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    try:
        # Training writes NaN, as after divergence, as an empty cell.
        return [{k: math.nan if v == "" else float(v) for k, v in line.items()} for line in lines]
    except (TypeError, ValueError):
        raise ValueError(f"{path.name} must contain only numbers.") from None
