"""Python's collection of garbage, paused while many objects are made that will all be kept."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def paused_collection() -> Iterator[None]:
    """Pause the search for cycles of objects during the block.

    Every few hundred new objects start one, which looks at more and more of all that there are; for
    100,000 images, that takes as long as the work itself. No cycles may be made in the block.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
