"""A scan of a folder that decodes every image once, before training."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

from proxy_keras.data.images import UnreadableImageError, read_image
from proxy_keras.data.layout import Candidate, LabelFn, find_images
from proxy_keras.data.records import Record, Skipped, content_hash
from proxy_keras.io.progress import progress_bar

_WINDOW = 1024
"""Files queued at a time, which bounds the memory for millions of files."""


@dataclass(frozen=True)
class ScanResult:
    """The contents of a folder, each list sorted by path.

    Attributes:
        records: The images.
        skipped: Files that are not usable images, with the reason.
        ignored: Files and folders outside the class folders, which were not read.
    """

    records: list[Record]
    skipped: list[Skipped]
    ignored: list[str]


def scan_folder(
    root: str | os.PathLike[str],
    *,
    label_fn: LabelFn | None = None,
    progress: bool = True,
    workers: int | None = None,
) -> ScanResult:
    """Decode and hash every image below `ROOT/CLASS/` or `ROOT/{train,val,test}/CLASS/`.

    Args:
        root: The folder; see `layout.find_images`, like `label_fn`. Nothing is written to it.
        label_fn: Returns the class of a file; None: the class is the name of the folder.
        progress: Show a progress bar.
        workers: Number of threads; None: one per CPU, at most 16.

    Raises:
        FileNotFoundError, NotADirectoryError, ValueError: See `layout.find_images`.
        ValueError: No file is a usable image.
    """
    layout = find_images(root, label_fn=label_fn)
    records: list[Record] = []
    skipped = list(layout.skipped)
    remaining = iter(layout.candidates)
    with (
        ThreadPoolExecutor(workers or default_workers()) as pool,
        progress_bar(
            total=len(layout.candidates),
            desc="Scanning",
            unit="image",
            shown=progress,
        ) as bar,
    ):
        while window := list(islice(remaining, _WINDOW)):
            for found in pool.map(partial(_examine, Path(root)), window):
                if isinstance(found, Record):
                    records.append(found)
                else:
                    skipped.append(found)
                bar.update()
    if not records:
        first = skipped[0]
        raise ValueError(
            f"None of the {len(layout.candidates)} files in {str(root)!r} is a usable image. The "
            f"first is {first.path!r}: {first.reason}."
        )
    return ScanResult(records, sorted(skipped, key=lambda item: item.path), layout.ignored)


def default_workers() -> int:
    """Return the number of threads for decoding: one per CPU, at most 16."""
    return min(16, os.cpu_count() or 1)


def _examine(root: Path, candidate: Candidate) -> Record | Skipped:
    try:
        image = read_image(root / candidate.path)
    except UnreadableImageError as error:
        return Skipped(candidate.path, error.reason, candidate.label)
    except OSError as error:
        reason = f"cannot be opened: {error.strerror}"
        return Skipped(candidate.path, reason, candidate.label)
    return Record(
        path=candidate.path,
        label=candidate.label,
        split=candidate.split,
        content_hash=content_hash(image),
        size_bytes=candidate.size_bytes,
    )
