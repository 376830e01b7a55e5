"""The row of a run of another tool, from its TensorBoard event files."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from tuner.collecting.columns import Row
from tuner.collecting.event_files import folder_names, read_scalars
from tuner.collecting.writer_folders import holds_hparams

_SPLITS = {
    "train": {"train", "training"},
    "val": {"val", "valid", "validation", "eval"},
    "test": {"test"},
}
_QUANTITIES = {"accuracy": {"accuracy", "acc"}, "loss": {"loss"}}
_NOT_PLAIN = {"top", "top5", "k", "best", "max", "min"}
_WORD = re.compile(r"[a-z]+[0-9]*")
# Means of float32 exceed 1 by rounding.
_ROUNDING = 1e-3
_PER_STEP = {"batch", "step", "iteration", "iterations"}

_Key = tuple[str, str]
_Series = Mapping[int, float]


def read_events(files: Sequence[Path]) -> Row:
    """Return the row of event files, without its name.

    Accuracy and loss of the splits are found by the words in the tag and the folder name. Values
    per epoch are preferred to values per step, and short tags to long ones. Accuracies in per cent
    become shares; what is neither is left out. The last value of every scalar is also included, as
    it is, as `event_FOLDER_TAG`.

    Raises:
        ValueError: A file is damaged.
        OSError: A file cannot be read.
    """
    scalars = read_scalars(files)
    row: Row = {"status": "events"}
    # A writer that logs one split in per cent logs all of them so, whatever their values.
    percent = {
        _writer(key)
        for key, series in scalars.series.items()
        if any(1.0 + _ROUNDING < value <= 100.0 * (1.0 + _ROUNDING) for value in series.values())
    }
    for split in _SPLITS:
        for quantity in _QUANTITIES:
            chosen = _choose(scalars.series, split, quantity)
            if chosen is None:
                continue
            values = _in_order(scalars.series[chosen])
            if quantity == "accuracy":
                shares = _shares(values, is_percent=_writer(chosen) in percent)
                if shares is None:
                    continue
                values = shares
            row[f"{split}_{quantity}"] = values[-1]
            if (split, quantity) == ("val", "accuracy"):
                row["best_val_accuracy"] = max(
                    (v for v in values if not math.isnan(v)), default=None
                )
            if "epoch" in _words(chosen[1]):
                row["epochs_done"] = len(values)
    if scalars.first is not None and scalars.last is not None:
        row["seconds"] = scalars.last - scalars.first
        row["finished_at"] = datetime.fromtimestamp(scalars.last, tz=UTC).isoformat(
            timespec="seconds"
        )
    _add_all(row, scalars.series, _prefixes(files))
    return row


def _choose(series: Mapping[_Key, _Series], split: str, quantity: str) -> _Key | None:
    """Return the best match for a quantity of a split; None if there is none."""
    candidates = [
        key
        for key in series
        if _split(key) == split
        and _words(key[1]) & _QUANTITIES[quantity]
        and not _words(key[1]) & _NOT_PLAIN
    ]
    return min(candidates, key=_rank, default=None)


def _rank(key: _Key) -> tuple[bool, bool, int, _Key]:
    words = _words(key[1])
    return ("epoch" not in words, bool(words & _PER_STEP), len(key[1]), key)


def _split(key: _Key) -> str | None:
    """Return the split named by a tag, or else by its folder."""
    folder, tag = key
    for text in (tag, folder):
        for split, names in _SPLITS.items():
            if _words(text) & names:
                return split
    return None


def _words(text: str) -> set[str]:
    return set(_WORD.findall(text.lower()))


def _writer(key: _Key) -> tuple[str, ...]:
    """Return what the tags of all splits that one program logs have in common."""
    names = set().union(*_SPLITS.values())
    return tuple(word for word in _WORD.findall(key[1].lower()) if word not in names)


def _shares(values: Sequence[float], *, is_percent: bool) -> list[float] | None:
    """Return accuracies as shares in [0, 1]; None if they are neither shares nor per cent."""
    shares = [value / 100.0 for value in values] if is_percent else list(values)
    if any(value < -_ROUNDING or value > 1.0 + _ROUNDING for value in shares):
        return None
    # NaN stays, as after divergence.
    return [value if math.isnan(value) else min(max(value, 0.0), 1.0) for value in shares]


def _in_order(series: _Series) -> list[float]:
    return [series[step] for step in sorted(series)]


def _prefixes(files: Sequence[Path]) -> dict[str, str]:
    """Return what precedes the tag in the names of columns, by folder."""
    by_folder: dict[Path, list[Path]] = {}
    for file in files:
        by_folder.setdefault(file.parent, []).append(file)
    names = folder_names(files)
    is_single = len(names) == 1
    # Folders named by the time would make columns of one run only.
    return {
        name: "" if is_single or holds_hparams(by_folder[folder]) else f"{name}_"
        for folder, name in names.items()
    }


def _add_all(row: Row, series: Mapping[_Key, _Series], prefixes: Mapping[str, str]) -> None:
    for (folder, tag), values in sorted(series.items()):
        plain = "event_" + re.sub(r"\W+", "_", prefixes[folder] + tag).strip("_")
        same = (f"{plain}_{number}" for number in itertools.count(2))
        column = next(c for c in itertools.chain([plain], same) if c not in row)
        row[column] = _in_order(values)[-1]
