"""State of a run folder, read without TensorFlow."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def has_begun(folder: Path) -> bool:
    """Return whether a run folder holds the settings of a run."""
    return (folder / "config.json").exists()


def finished_metrics(folder: Path) -> dict[str, Any] | None:
    """Return the content of `metrics.json`; None if the run is not trained and evaluated yet."""
    path = folder / "metrics.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
