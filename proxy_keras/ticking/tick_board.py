"""TickBoard: the verdicts on cues, shared by all open pages and saved at each change."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable
from typing import Any

from proxy_keras.cues.cue_folder import load_verdicts
from proxy_keras.ticking.cue_page import served_page, summary
from proxy_keras.ticking.cue_store import CueStore
from proxy_keras.ticking.verdict_options import last_said, say


class StaleUndoError(RuntimeError):
    """The verdict that is last now is not the one that was to be taken back."""


class TickBoard:
    """The verdicts in the folder of cues. Thread-safe.

    The file is the truth: it is read before each change, so that another page, or the command
    with `--tick`, is not overwritten.

    Args:
        store: The cues.
    """

    def __init__(self, store: CueStore) -> None:
        self._store = store
        self._lock = threading.Lock()

    def state(self) -> dict[str, Any]:
        """Return the state as JSON values.

        Returns:
            `revision`, `verdicts` by the name of the cue, `summary` in words, and `last`, the last
            verdict in words or None.

        Raises:
            ValueError, OSError: The file of verdicts is damaged or gone.
        """
        return self._change(lambda: None)

    def say(self, name: str, verdict: str | None) -> dict[str, Any]:
        """Give a cue a verdict, and return the new state; None takes it back.

        Raises:
            ValueError, OSError: The file of verdicts is damaged or gone, or cannot be written.
        """
        return self._change(lambda: say(self._store.cues, [name], verdict))

    def undo(self, revision: str) -> dict[str, Any]:
        """Take the last verdict back, and return the new state.

        Args:
            revision: The state that the page shows.

        Raises:
            StaleUndoError: The state is another one; nothing is taken back.
            ValueError, OSError: As for `say`.
        """

        def take_back() -> None:
            if revision != self._state()["revision"]:
                raise StaleUndoError(
                    "The verdicts were changed elsewhere, so nothing was taken back. They are up "
                    "to date now; undo again if you want to."
                )
            self._store.cues.undo()

        return self._change(take_back)

    def page(self) -> str:
        """Return the page with the verdicts as they are.

        Raises:
            ValueError, OSError: The file of verdicts is damaged or gone.
        """
        store = self._store
        with self._lock:
            self._read()
            return served_page(store.cues, store.pictures, title=store.title, problem=store.problem)

    def _change(self, change: Callable[[], object]) -> dict[str, Any]:
        cues = self._store.cues
        with self._lock:
            self._read()
            before = cues.verdicts
            change()
            if cues.verdicts != before:
                try:
                    cues.save_verdicts(self._store.folder)
                except OSError:
                    cues.verdicts = before
                    raise
            return self._state()

    def _read(self) -> None:
        cues = self._store.cues
        cues.verdicts = load_verdicts(self._store.folder, cues.tree)

    def _state(self) -> dict[str, Any]:
        cues = self._store.cues
        revision = hashlib.sha256(json.dumps(cues.verdicts.to_json()).encode()).hexdigest()
        return {
            "revision": revision[:16],
            "verdicts": dict(cues.verdicts.current),
            "summary": summary(cues),
            "last": last_said(cues),
        }
