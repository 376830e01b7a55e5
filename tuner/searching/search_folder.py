"""SearchFolder: the output folder of a search, with a record of its settings."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from proxy_keras.io.atomic_files import write_text_atomically
from proxy_keras.settings import DataConfig, TrainConfig
from proxy_keras.settings.json_settings import differences
from tuner.file_lock import FileLock, lock_folder
from tuner.searching.oracle_files import free_path, set_aside

_WRITTEN = ("search.json", "results.csv", "best.json", "oracle", "trials")
_WAIT_S = 0.2


class SearchFolder:
    """Folder of one search.

    Args:
        folder: The path given as `--out`.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder
        self.trials = folder / "trials"
        self.oracle = folder / "oracle"
        self.results = folder / "results.csv"
        self.best = folder / "best.json"
        self._identity = folder / "search.json"

    @property
    def has_search(self) -> bool:
        """Whether the folder has a search, or at least its oracle."""
        return self._identity.exists() or self.oracle.exists()

    def lock(self) -> FileLock:
        """Return the acquired lock of the folder.

        Raises:
            ValueError: Another search is running in the folder.
        """
        return lock_folder(self.path / "search.lock", "search")

    def begin(self, identity: Mapping[str, Any]) -> list[str]:
        """Start a search, or check that the existing one has the same settings.

        Args:
            identity: JSON values that must not change when a search is resumed.

        Returns:
            A message for each damaged file.

        Raises:
            ValueError: The folder has another search, or other files.
        """
        if not self.has_search and not (self.path / "earlier-1").exists():
            others = [p.name for p in self.path.iterdir() if not self._is_ours(p)]
            if others:
                raise ValueError(
                    f"{self.path} is not empty and has no search: {', '.join(sorted(others)[:3])}. "
                    "Pass a new or empty folder as --out."
                )
        saved, messages = self._read()
        if saved is None:
            text = json.dumps(identity, indent=2) + "\n"
            write_text_atomically(self._identity, text)
        else:
            self._compare(saved, identity)
        return messages

    def wait_for_chief(self, identity: Mapping[str, Any], *, timeout_s: float) -> None:
        """Wait until the chief has started the search with these settings.

        Raises:
            ValueError: The chief runs another search, or none.
        """
        until = time.monotonic() + timeout_s
        while not self._identity.exists():
            if time.monotonic() > until:
                raise ValueError(
                    f"No search was started in {self.path} within {timeout_s:g} s. Start the "
                    "chief, and use the same --out for all workers, in a folder that all machines "
                    "share."
                )
            time.sleep(_WAIT_S)
        saved, _ = self._read()
        if saved is not None:
            self._compare(saved, identity)

    def archive(self) -> Path:
        """Move the files of the search to a new subfolder, and return that."""
        earlier = free_path(self.path / "earlier")
        earlier.mkdir()
        for name in _WRITTEN:
            if (self.path / name).exists():
                (self.path / name).rename(earlier / name)
        return earlier

    def _is_ours(self, path: Path) -> bool:
        return path.name in (*_WRITTEN, "search.lock") or path.name.startswith(
            ("search.json.", "search.unfinished")
        )

    def _read(self) -> tuple[dict[str, Any] | None, list[str]]:
        if not self._identity.exists():
            return None, []
        try:
            content = json.loads(self._identity.read_text(encoding="utf-8"))
            if isinstance(content, dict):
                return content, []
        except ValueError:
            pass
        return None, [set_aside(self._identity)]

    def _compare(self, saved: Mapping[str, Any], identity: Mapping[str, Any]) -> None:
        # Saved values have been through JSON.
        now = json.loads(json.dumps(identity))
        defaults = {"settings": TrainConfig(DataConfig("")).to_dict()}
        differing = differences(_with_new_settings(saved, now, defaults), now)
        if differing:
            raise ValueError(
                f"{self.path} has a search with other settings: {'; '.join(differing)}. Pass the "
                "same settings to resume it (only --trials and --workers may change), another "
                "--out, or --fresh."
            )


def _with_new_settings(
    saved: Mapping[str, Any], now: Mapping[str, Any], defaults: Mapping[str, Any]
) -> dict[str, Any]:
    """Return saved values, with the default of each setting that is newer than they are."""
    filled = dict(saved)
    for name in now:
        if name in defaults:
            filled.setdefault(name, defaults[name])
    for name, value in filled.items():
        if all(isinstance(part.get(name), dict) for part in (saved, now, defaults)):
            filled[name] = _with_new_settings(value, now[name], defaults[name])
    return filled
