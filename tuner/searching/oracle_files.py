"""OracleFiles: what a search knows, on disk, so that no kill and no damaged file costs a trial."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from proxy_keras.io.atomic_files import write_text_atomically

_STATE_KEYS = {"trials", "start_order", "end_order", "hyperparameters", "seed_state"}
_TRIAL_KEYS = {"trial_id", "hyperparameters", "status", "score"}


def set_aside(path: Path) -> Path:
    """Renames a damaged file to the first free `NAME.damaged-N` beside it, and returns that."""
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    return path.rename(aside)


class OracleFiles:
    """`oracle.json`, the one before it, and one `trial_ID/trial.json` for each trial.

    `oracle.json` says everything, and is replaced in one step: a kill leaves the search as it was
    before a trial began or ended, or after. The others are there to repair it from.

    Args:
        folder: Made when something is written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._state = folder / "oracle.json"
        self._previous = folder / "oracle.previous.json"

    def write_state(self, state: Mapping[str, Any]) -> None:
        """Writes the state of the oracle, and keeps the one before."""
        text = json.dumps(state)
        self._folder.mkdir(parents=True, exist_ok=True)
        if self._state.exists():
            self._state.replace(self._previous)
        write_text_atomically(self._state, text)

    def write_trial(self, trial_id: str, state: Mapping[str, Any]) -> None:
        """Writes the record of a trial."""
        path = self._trial(trial_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text_atomically(path, json.dumps(state))

    def read_state(self) -> tuple[dict[str, Any] | None, list[str]]:
        """The newest state that is whole, None where there is none, and what was damaged."""
        messages: list[str] = []
        for path in (self._state, self._previous):
            if path.exists():
                state = _read(path, _STATE_KEYS)
                if state is not None:
                    return state, messages
                messages.append(f"{path} is damaged, and now {set_aside(path).name}")
        return None, messages

    def read_trials(self) -> tuple[dict[str, dict[str, Any] | None], list[str]]:
        """The record of each trial by its id, None where it is damaged, and what was damaged."""
        trials: dict[str, dict[str, Any] | None] = {}
        messages = []
        for folder in sorted(self._folder.glob("trial_*")):
            found = re.fullmatch(r"trial_(\d+)", folder.name)
            path = folder / "trial.json"
            if found is None or not path.exists():
                continue
            trials[found[1]] = _read(path, _TRIAL_KEYS)
            if trials[found[1]] is None:
                messages.append(f"{path} is damaged, and now {set_aside(path).name}")
        return trials, messages

    def _trial(self, trial_id: str) -> Path:
        return self._folder / f"trial_{trial_id}" / "trial.json"


def _read(path: Path, keys: set[str]) -> dict[str, Any] | None:
    """The content of a JSON file that has these keys, else None."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return None
    return content if isinstance(content, dict) and keys <= set(content) else None
