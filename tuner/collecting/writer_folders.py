"""Recognition of the folders that PyTorch's `SummaryWriter` makes for parts of a run.

`add_scalars` writes each curve to a folder of its own, and `add_hparams` writes final metrics to
another, named by the time. Both are below the folder of the run.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tuner.collecting.event_files import first_tags

_EXPERIMENT = "_hparams_/experiment"
_SESSION = "_hparams_/session_start_info"


def holds_hparams(files: Iterable[Path]) -> bool:
    """Return whether event files are those of one call of `add_hparams`.

    Keras' callback writes the two tags to different folders.
    """
    return {_EXPERIMENT, _SESSION} <= _tags(files)


def holds_curve(files: Iterable[Path], folder: str) -> bool:
    """Return whether event files are one curve of `add_scalars`.

    Args:
        files: The event files of a folder.
        folder: The folder, relative to that of the run: the tag, "_" and the name of the curve.
    """
    tags = _tags(files)
    return len(tags) == 1 and folder.startswith(f"{next(iter(tags)).replace('/', '_')}_")


def _tags(files: Iterable[Path]) -> set[str]:
    """Return the first tags of event files; none if a file is damaged."""
    try:
        return {tag for file in files for tag in first_tags(file)}
    except (ValueError, OSError):
        # The file is reported when its run is read.
        return set()
