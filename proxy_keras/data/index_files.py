"""The files of indexes: where they are, how they are set aside, and how much space they take."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from pathlib import Path

MAX_BYTES = 2 * 2**30
"""Size of all indexes in the cache folder together; those used least recently are removed."""

_ENDING = ".sqlite"
_SET_ASIDE = 3
"""Damaged files that are kept of one index."""

_OURS = re.compile(r"[0-9a-f]{32}\.sqlite(\.damaged-\d+)?(-journal)?")


def cache_folder() -> Path:
    """Return the folder of the indexes: in `$XDG_CACHE_HOME`, by default `~/.cache`.

    Raises:
        RuntimeError: The user has no home folder.
    """
    cache = os.environ.get("XDG_CACHE_HOME", "")
    # As the specification of these folders asks, a relative path is ignored.
    base = Path(cache) if os.path.isabs(cache) else Path.home() / ".cache"
    return base / "proxy_keras" / "scans"


def cached_file(root: str | os.PathLike[str]) -> Path:
    """Return the file of the index of a folder; it is the same for all paths to that folder.

    Raises:
        RuntimeError: The user has no home folder.
    """
    name = hashlib.sha256(os.fsencode(os.path.realpath(root))).hexdigest()[:32]
    return cache_folder() / f"{name}{_ENDING}"


def set_aside(file: Path) -> Path:
    """Rename a damaged index, and return its new path. The oldest of several is replaced.

    Raises:
        OSError: It cannot be renamed.
    """
    places = [file.with_name(f"{file.name}.damaged-{n}") for n in range(1, _SET_ASIDE + 1)]
    free = [place for place in places if not place.exists()]
    target = free[0] if free else min(places, key=lambda place: place.stat().st_mtime)
    # A journal left by a killed process belongs to the damaged file, and would damage the new one.
    for ending in ("-journal", ""):
        source = file.with_name(file.name + ending)
        moved = target.with_name(target.name + ending)
        moved.unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):
            source.rename(moved)
    return target


def remove_old(in_use: Path, *, max_bytes: int) -> None:
    """Remove indexes from the cache folder, least recently used first, until the rest fits.

    Only files that are named like indexes are counted and removed, in the folder of `in_use`, which
    stays.

    Raises:
        OSError: One cannot be removed.
    """
    found = []
    with os.scandir(in_use.parent) as entries:
        for entry in entries:
            if _OURS.fullmatch(entry.name):
                with contextlib.suppress(FileNotFoundError):
                    status = entry.stat(follow_symlinks=False)
                    found.append((status.st_mtime_ns, status.st_size, entry.path))
    total = sum(size for _, size, _ in found)
    for _, size, path in sorted(found):
        if total <= max_bytes:
            return
        if not os.path.basename(path).startswith(in_use.stem):
            Path(path).unlink(missing_ok=True)
            total -= size
