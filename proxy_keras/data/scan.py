"""A scan of a folder: every image is decoded once before training, and found in an index later."""

from __future__ import annotations

import contextlib
import os
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from operator import attrgetter
from typing import BinaryIO

import numpy as np
from PIL import Image

from proxy_keras.data.images import UnreadableImageError, read_image
from proxy_keras.data.layout import Candidate, LabelFn, Layout, find_images
from proxy_keras.data.ordinary import is_ordinary
from proxy_keras.data.records import Record, Skipped
from proxy_keras.data.scan_index import CACHE, Found, Index, ScanIndex, open_index
from proxy_keras.data.scanned_files import EXAMINED, ScannedFiles, examined_bytes
from proxy_keras.io.paused_collection import paused_collection
from proxy_keras.io.progress import progress_bar

_CHUNK = 16
"""Files examined at a time by a thread; handing over each one by itself would cost more."""

_CHUNKS_AHEAD = 4
"""Chunks queued per thread, which bounds the memory for millions of files."""

_HEX = 64
"""Digits of a content hash."""


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
    with contextlib.ExitStack() as pause:
        pause.enter_context(paused_collection())
        layout = find_images(root, label_fn=label_fn)
        with open_index(root, index, started_ns) as known:
            results: list[Found | _Unopened | None] = [*known.find(layout.candidates)]
            if None in results:
                # Decoding makes garbage.
                pause.close()
                _examine_missing(root, layout.candidates, results, known, workers, progress)
            known.drop_removed()
        pause.enter_context(paused_collection())
        return _result(root, layout, results, started_ns)


def _examine_missing(
    root: str | os.PathLike[str],
    candidates: Sequence[Candidate],
    results: list[Found | _Unopened | None],
    known: ScanIndex,
    workers: int | None,
    progress: bool,
) -> None:
    """Decode the files without a result, and add them to the results and to the index."""
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
                    known.add(candidates[row], found)
            bar.update(len(rows))


def _result(
    root: str | os.PathLike[str],
    layout: Layout,
    results: Sequence[Found | _Unopened | None],
    scanned_ns: int,
) -> ScanResult:
    candidates, skipped = layout.candidates, list(layout.skipped)
    usable: list[Candidate] = []
    parts: list[bytes] = []
    for candidate, found in zip(candidates, results, strict=True):
        if isinstance(found, bytes):
            usable.append(candidate)
            parts.append(found)
        else:
            reason = found.reason if isinstance(found, _Unopened) else str(found)
            skipped.append(Skipped(candidate.path, reason, candidate.label))
    if not usable:
        first = skipped[0]
        raise ValueError(
            f"None of the {len(candidates)} files in {str(root)!r} is a usable image. The first is "
            f"{first.path!r}: {first.reason}."
        )
    examined = np.frombuffer(b"".join(parts), EXAMINED)
    hashes = examined["content_hash"].tobytes().hex()
    records = [
        Record(path, label, split, hashes[at : at + _HEX], size_bytes)
        for at, (path, label, split, size_bytes, _) in zip(
            range(0, len(hashes), _HEX), usable, strict=True
        )
    ]
    files = ScannedFiles(
        root,
        [record.path for record in records],
        [candidate.status for candidate in usable],
        examined,
        scanned_ns=scanned_ns,
    )
    skipped.sort(key=attrgetter("path"))
    return ScanResult(records, skipped, layout.ignored, files)


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
