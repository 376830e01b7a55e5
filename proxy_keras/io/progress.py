"""Progress bars of long work, and lines that leave them whole."""

from __future__ import annotations

import sys
from typing import Any

from tqdm.auto import tqdm


def progress_bar(*iterables: Any, shown: bool, **options: Any) -> Any:
    """Return a `tqdm` bar that is hidden unless it is `shown` and there is a terminal."""
    # None makes tqdm look for a terminal.
    return tqdm(*iterables, disable=None if shown else True, **options)


def notify(line: str) -> None:
    """Print a line to stderr, above the progress bars."""
    tqdm.write(line, file=sys.stderr)
