"""OracleFiles: the state of a search on disk, which survives kills and damaged files."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from proxy_keras.io.atomic_files import write_text_atomically

_STATE_KEYS = {"trials", "start_order", "end_order", "hyperparameters", "seed_state"}
_TRIAL_KEYS = {"trial_id", "hyperparameters", "status", "score"}


def free_path(path: Path) -> Path:
    """Return the first path `PATH-N`, N = 1, 2, ..., that does not exist."""
    candidates = (path.with_name(f"{path.name}-{number}") for number in itertools.count(1))
    return next(candidate for candidate in candidates if not candidate.exists())


def set_aside(path: Path) -> str:
    """Rename a damaged file to `NAME.damaged-N`, and return a message."""
    aside = path.rename(free_path(path.with_name(f"{path.name}.damaged")))
    return f"{path} is damaged and was renamed to {aside.name}"


class OracleFiles:
    """Files of an oracle: `oracle.json`, its previous version, and a `trial.json` per trial.

    `oracle.json` has the whole state and is replaced atomically: after a kill, each start or end
    of a trial is either recorded or not. The other files serve to repair it.

    Args:
        folder: The folder; created with the first file.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._state = folder / "oracle.json"
        self._previous = folder / "oracle.previous.json"

    def write_state(self, state: Mapping[str, Any]) -> None:
        """Write the state of the oracle, and keep the previous one."""
        text = json.dumps(state)
        self._folder.mkdir(parents=True, exist_ok=True)
        if self._state.exists():
            self._state.replace(self._previous)
        write_text_atomically(self._state, text)

    def write_trial(self, trial_id: str, state: Mapping[str, Any]) -> None:
        """Write the record of a trial."""
        path = self._folder / f"trial_{trial_id}" / "trial.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text_atomically(path, json.dumps(state))

    def read_state(self) -> tuple[dict[str, Any] | None, list[str]]:
        """Return the newest undamaged state, or None, and a message for each damaged file."""
        messages: list[str] = []
        for path in (self._state, self._previous):
            if path.exists():
                state = _read(path, _STATE_KEYS)
                if state is not None:
                    return state, messages
                messages.append(set_aside(path))
        return None, messages

    def read_trials(self) -> tuple[dict[str, dict[str, Any] | None], list[str]]:
        """Return trial records by id, None if damaged, and a message for each damaged file."""
        trials: dict[str, dict[str, Any] | None] = {}
        messages = []
        for folder in sorted(self._folder.glob("trial_*")):
            found = re.fullmatch(r"trial_(\d+)", folder.name)
            path = folder / "trial.json"
            if found is None or not path.exists():
                continue
            trials[found[1]] = _read(path, _TRIAL_KEYS)
            if trials[found[1]] is None:
                messages.append(set_aside(path))
        return trials, messages


def _read(path: Path, keys: set[str]) -> dict[str, Any] | None:
    """Return the content of a JSON file; None if it is damaged or lacks a key."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return None
    return content if isinstance(content, dict) and keys <= set(content) else None
