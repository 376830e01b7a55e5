"""A scan of a folder: every image is decoded once before training, and found in an index later."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np
from PIL import Image

from proxy_keras.data.images import UnreadableImageError, read_image
from proxy_keras.data.layout import Candidate, LabelFn, find_images
from proxy_keras.data.ordinary import is_ordinary
from proxy_keras.data.records import Record, Skipped
from proxy_keras.data.scan_index import CACHE, Found, Index, open_index
from proxy_keras.data.scanned_files import EXAMINED, ScannedFiles, examined_bytes
from proxy_keras.io.paused_collection import paused_collection
from proxy_keras.io.progress import progress_bar

_CHUNK = 16
"""Files examined at a time by a thread; handing over each one by itself would cost more."""

_CHUNKS_AHEAD = 4
"""Chunks queued per thread, which bounds the memory for millions of files."""


@dataclass(frozen=True)
class ScanResult:
    """The contents of a folder, each list sorted by path.

    Attributes:
        records: The images.
        skipped: Files that are not usable images, with the reason.
        ignored: Files and folders outside the class folders, which were not read.
        files: The files of the images, one per record.
    """

    records: list[Record]
    skipped: list[Skipped]
    ignored: list[str]
    files: ScannedFiles = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class _Unopened:
    """Why a file could not be opened, which may be otherwise next time."""

    reason: str


def scan_folder(
    root: str | os.PathLike[str],
    *,
    label_fn: LabelFn | None = None,
    progress: bool = True,
    workers: int | None = None,
    index: Index = CACHE,
) -> ScanResult:
    """Decode and hash every image below `ROOT/CLASS/` or `ROOT/{train,val,test}/CLASS/`.

    Files that are in the index of an earlier scan, and have not changed since, are not opened.

    Args:
        root: The folder; see `layout.find_images`, like `label_fn`. Nothing is written to it.
        label_fn: Returns the class of a file; None: the class is the name of the folder.
        progress: Show a progress bar.
        workers: Number of threads; None: one per CPU, at most 16.
        index: The file of the index; "cache": one in the user's cache folder; None or "none": none.

    Raises:
        FileNotFoundError, NotADirectoryError, ValueError: See `layout.find_images`.
        ValueError: No file is a usable image, or the index is a file of another kind.
    """
    started_ns = time.time_ns()
    with paused_collection():
        layout = find_images(root, label_fn=label_fn)
    candidates = layout.candidates
    with open_index(root, index) as known:
        results: list[Found | _Unopened | None] = [*known.find(candidates)]
        missing = [row for row, found in enumerate(results) if found is None]
        with (
            ThreadPoolExecutor(workers or default_workers()) as pool,
            progress_bar(
                total=len(candidates),
                initial=len(candidates) - len(missing),
                desc="Scanning",
                unit="image",
                shown=progress,
            ) as bar,
        ):
            for rows, examined in _examine_all(pool, os.fspath(root), candidates, missing):
                for row, found in zip(rows, examined, strict=True):
                    results[row] = found
                    if not isinstance(found, _Unopened):
                        known.add(candidates[row], found, started_ns)
                bar.update(len(rows))
        known.drop_removed(candidates)
    with paused_collection():
        return _result(root, candidates, results, layout.skipped, layout.ignored, started_ns)


def _result(
    root: str | os.PathLike[str],
    candidates: Sequence[Candidate],
    results: Sequence[Found | _Unopened | None],
    skipped: Sequence[Skipped],
    ignored: list[str],
    scanned_ns: int,
) -> ScanResult:
    usable = [row for row, found in enumerate(results) if isinstance(found, bytes)]
    joined = b"".join([found for found in results if isinstance(found, bytes)])
    examined = np.frombuffer(joined, EXAMINED)
    hashes = examined["content_hash"].tobytes().hex()
    records = [
        Record(
            path=candidates[row].path,
            label=candidates[row].label,
            split=candidates[row].split,
            content_hash=hashes[64 * at : 64 * at + 64],
            size_bytes=candidates[row].size_bytes,
        )
        for at, row in enumerate(usable)
    ]
    skipped = [
        *skipped,
        *(
            Skipped(
                candidate.path,
                found.reason if isinstance(found, _Unopened) else str(found),
                candidate.label,
            )
            for candidate, found in zip(candidates, results, strict=True)
            if not isinstance(found, bytes)
        ),
    ]
    if not records:
        first = skipped[0]
        raise ValueError(
            f"None of the {len(candidates)} files in {str(root)!r} is a usable image. The first is "
            f"{first.path!r}: {first.reason}."
        )
    files = ScannedFiles(
        root,
        [record.path for record in records],
        [candidates[row].status for row in usable],
        examined,
        scanned_ns=scanned_ns,
    )
    return ScanResult(records, sorted(skipped, key=lambda item: item.path), ignored, files)


def default_workers() -> int:
    """Return the number of threads for decoding: one per CPU, at most 16."""
    return min(16, os.cpu_count() or 1)


def _examine_all(
    pool: ThreadPoolExecutor, root: str, candidates: Sequence[Candidate], rows: Sequence[int]
) -> Iterator[tuple[Sequence[int], list[Found | _Unopened]]]:
    """Yield rows of candidates, in order, and what was found out about them."""
    waiting: deque[tuple[Sequence[int], Future[list[Found | _Unopened]]]] = deque()
    for start in range(0, len(rows), _CHUNK):
        chunk = rows[start : start + _CHUNK]
        paths = [os.path.join(root, candidates[row].path) for row in chunk]
        waiting.append((chunk, pool.submit(_examine_some, paths)))
        if len(waiting) > _CHUNKS_AHEAD * pool._max_workers:
            chunk, future = waiting.popleft()
            yield chunk, future.result()
    for chunk, future in waiting:
        yield chunk, future.result()


def _examine_some(paths: Sequence[str]) -> list[Found | _Unopened]:
    return [_examine(path) for path in paths]


def _examine(path: str) -> Found | _Unopened:
    ordinary = [False]

    def inspect(picture: Image.Image, file: BinaryIO) -> None:
        ordinary[0] = is_ordinary(picture, file)

    try:
        image = read_image(path, inspect=inspect)
    except UnreadableImageError as error:
        return error.reason
    except OSError as error:
        return _Unopened(f"cannot be opened: {error.strerror}")
    return examined_bytes(image, is_ordinary=ordinary[0])
