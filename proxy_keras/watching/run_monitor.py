"""The state of a training run for the live page."""

from __future__ import annotations

import hashlib
import json
import shlex
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from proxy_keras.watching.progress import Progress, compute_progress
from proxy_keras.watching.run_files import RunFiles, Sheet

ACTIVITY_FILES = (
    *("config.json", "run.json", "history.csv", "metrics.json"),
    # Files in these folders change while a run resumes and while it ends.
    *("sheets", "checkpoints", "tensorboard/train", "tensorboard/validation", "."),
)


class RunMonitor:
    """Reads the current state of a run from its files. Thread-safe.

    Args:
        folder: The run folder; it need not exist yet.
        clock: Returns seconds since 1970.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self.folder = folder
        self._files = RunFiles(folder)
        # Resolve now: a relative path cannot be resolved once the working directory is deleted.
        self._name = folder.resolve().name or str(folder)
        self._clock = clock
        self._lock = threading.Lock()
        self._had_begun = False
        self._last: tuple[dict[str, Any], str] = ({}, "")

    def state(self, known: str | None = None) -> dict[str, Any]:
        """Return the state as JSON values.

        Args:
            known: The `version` that the page already has.

        Returns:
            `progress`, see `Progress`; `version` of `run`; and `run`, unless its version is known:
            `name`, `resume` (the command that resumes it), `settings`, `conditions`, `history`,
            `per_class`, `sheets`, `results`, `problems`.
        """
        with self._lock:
            run, version = self._run(), self._last[1]
            if run != self._last[0]:
                version = _version(run)
                self._last = (run, version)
            state = {"progress": asdict(self._progress()), "version": version}
            return state if version == known else {**state, "run": run}

    def sheet(self, name: str) -> bytes | None:
        """Return the proxy sheet of that name as PNG; None if the run has none.

        Raises:
            OSError: It exists but cannot be read.
        """
        with self._lock:
            known = {sheet.name for sheet in self._files.sheets()}
        try:
            return (self.folder / "sheets" / name).read_bytes() if name in known else None
        except FileNotFoundError:
            return None

    def _run(self) -> dict[str, Any]:
        files = self._files
        run = {
            "name": self._name,
            "resume": f"python -m proxy_keras.train --resume --out {shlex.quote(str(self.folder))}",
            "settings": files.settings(),
            "conditions": files.conditions(),
            "history": files.history(),
            "per_class": files.per_class(),
            "sheets": [_for_page(sheet) for sheet in files.sheets()],
            "results": _results(files.metrics()),
        }
        # Reading the files above fills `problems`.
        return {**run, "problems": list(files.problems.values())}

    def _progress(self) -> Progress:
        files = self._files
        settings = files.settings()
        now = self._clock()
        quiet_since = files.written_at(*ACTIVITY_FILES)
        epoch_ended = files.written_at("history.csv")
        epochs = (settings or {}).get("epochs")
        had_begun = self._had_begun
        self._had_begun = had_begun or settings is not None
        return compute_progress(
            has_begun=settings is not None,
            had_begun=had_begun,
            has_ended=files.metrics() is not None,
            epoch=len(files.history().get("epoch", [])),
            epochs=epochs if isinstance(epochs, int) else None,
            seconds=files.epoch_seconds(),
            quiet_s=None if quiet_since is None else max(now - quiet_since, 0.0),
            since_epoch_s=0.0 if epoch_ended is None else max(now - epoch_ended, 0.0),
        )


def _version(run: dict[str, Any]) -> str:
    text = json.dumps(run, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _for_page(sheet: Sheet) -> dict[str, Any]:
    # The address changes with the image, so browsers may cache it.
    return {"epoch": sheet.epoch, "address": f"sheets/{sheet.name}?v={sheet.changed_ns}"}


def _results(metrics: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return the accuracies in `metrics.json` by split; None without the file."""
    if metrics is None:
        return None
    splits = {name: metrics.get(name) for name in ("val", "test")}
    return {name: of.get("accuracy") for name, of in splits.items() if isinstance(of, dict)}
