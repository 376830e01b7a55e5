"""SearchFolder: where a search keeps what it wrote, and which search it is."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from proxy_keras.io.atomic_files import write_text_atomically
from proxy_keras.settings.json_settings import differences
from tuner.file_lock import FileLock, the_only
from tuner.searching.oracle_files import set_aside

_WRITTEN = ("search.json", "results.csv", "best.json", "oracle", "trials")
_WAIT_S = 0.2


class SearchFolder:
    """The folder of one search.

    Args:
        folder: `--out`.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder
        self.trials = folder / "trials"
        self.oracle = folder / "oracle"
        self.results = folder / "results.csv"
        self.best = folder / "best.json"
        self._identity = folder / "search.json"

    @property
    def has_begun(self) -> bool:
        """Whether there is a search in it, if only its records."""
        return self._identity.exists() or self.oracle.exists()

    def lock(self) -> FileLock:
        """A taken lock, which one search at a time has.

        Raises:
            ValueError: Another search has it.
        """
        return the_only(self.path / "search.lock", "search")

    def begin(self, identity: Mapping[str, Any]) -> list[str]:
        """Begins a search, or checks that it is this one which goes on.

        Args:
            identity: JSON values that must be the same each time.

        Returns:
            A line on each file that was damaged.

        Raises:
            ValueError: The folder holds another search, or something else.
        """
        if not self.has_begun and not (self.path / "earlier-1").exists():
            others = [p.name for p in self.path.iterdir() if not self._is_ours(p)]
            if others:
                raise ValueError(
                    f"{self.path} is not empty and holds no search: {', '.join(sorted(others)[:3])}"
                    ". Give a new or empty folder as --out."
                )
        saved, messages = self._read()
        if saved is None:
            text = json.dumps(identity, indent=2) + "\n"
            write_text_atomically(self._identity, text)
        else:
            self._compare(saved, identity)
        return messages

    def wait_for(self, identity: Mapping[str, Any], *, timeout_s: float) -> None:
        """Waits until the chief has begun this very search.

        Raises:
            ValueError: The chief runs another search, or none.
        """
        until = time.monotonic() + timeout_s
        while not self._identity.exists():
            if time.monotonic() > until:
                raise ValueError(
                    f"No search has begun in {self.path} for {timeout_s:g} s. Start the chief, and "
                    "give all workers the same --out, in a folder that all machines share."
                )
            time.sleep(_WAIT_S)
        saved, _ = self._read()
        if saved is not None:
            self._compare(saved, identity)

    def put_away(self) -> Path:
        """Moves all that a search wrote, and nothing else, to a folder of its own in this one."""
        number = 1
        while (earlier := self.path / f"earlier-{number}").exists():
            number += 1
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
        return None, [f"{self._identity} is damaged, and now {set_aside(self._identity).name}"]

    def _compare(self, saved: Mapping[str, Any], identity: Mapping[str, Any]) -> None:
        # As JSON gives it back.
        differing = differences(saved, json.loads(json.dumps(identity)))
        if differing:
            raise ValueError(
                f"{self.path} holds a search with other settings: {'; '.join(differing)}. Give "
                "the same ones to go on with it (only --trials and --workers may change), "
                "another --out, or --fresh."
            )
