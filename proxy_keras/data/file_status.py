"""The status of files, by which a change of their content is noticed without reading them."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

STATUS_SIZE = 32
"""Bytes of a packed status."""

RACY_NS = 2_000_000_000
"""A file can change twice within one step of a file system's clock; the longest steps are 2 s."""

_PACK = struct.Struct("<4Q").pack
_UNPACK = struct.Struct("<4Q").unpack
_MASK = 2**64 - 1


def packed(status: os.stat_result) -> bytes:
    """Return the size, the times of change of content and of status in ns, and the inode.

    Every change of a file changes the second time, even if the first one is set back.
    """
    return _PACK(
        status.st_size & _MASK,
        status.st_mtime_ns & _MASK,
        status.st_ctime_ns & _MASK,
        status.st_ino & _MASK,
    )


def mixed(statuses: Iterable[bytes]) -> NDArray[np.uint64]:
    """Return packed statuses [n] as one number each, uint64, never 0."""
    columns = np.frombuffer(b"".join(statuses), "<u8").reshape(-1, STATUS_SIZE // 8)
    mix = np.zeros(len(columns), np.uint64)
    for column in columns.T:
        # The finish of SplitMix64, in which every bit of the input decides on every bit.
        mix = (mix ^ column) + np.uint64(0x9E3779B97F4A7C15)
        mix = (mix ^ (mix >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mix = (mix ^ (mix >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mix ^= mix >> np.uint64(31)
    return np.maximum(mix, np.uint64(1))


def is_racy(status: bytes, now_ns: int) -> bool:
    """Return whether a file could change after `now_ns` without a change of its status.

    Args:
        status: Its packed status.
        now_ns: When the status was read, or earlier, in ns since 1970.
    """
    _, content_ns, status_ns, _ = _UNPACK(status)
    is_recent = bool(now_ns - RACY_NS <= content_ns <= now_ns + RACY_NS)
    return is_recent or bool(status_ns >= now_ns - RACY_NS)
