"""ScannedFiles: the image files of a scan, which must stay as they were scanned."""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from proxy_keras.data.file_status import is_racy, mixed, packed
from proxy_keras.data.images import UnreadableImageError, read_image
from proxy_keras.data.records import content_hash

EXAMINED = np.dtype(
    [("content_hash", "u1", 32), ("height", "<u4"), ("width", "<u4"), ("is_ordinary", "?")]
)
"""What a scan finds out about an image: its hash, its size in pixels, and see `is_ordinary`."""


_PACK = struct.Struct("<32sII?").pack


def examined_bytes(image: NDArray[np.uint8], *, is_ordinary: bool) -> bytes:
    """Return `EXAMINED` as bytes.

    Args:
        image: [H, W, 3] uint8, decoded at full size.
        is_ordinary: See `ordinary.is_ordinary`.
    """
    height, width = image.shape[:2]
    return _PACK(bytes.fromhex(content_hash(image)), height, width, is_ordinary)


class ChangedImageError(ValueError):
    """A file whose image is no longer the one that was scanned.

    Attributes:
        path: The file.
    """

    def __init__(self, path: str) -> None:
        super().__init__(
            f"Image files must not change while they are in use. {path!r} has another content than "
            "when the split was made, which may have put it elsewhere. Restore the file, or start "
            "anew with the images as they are now."
        )
        self.path = path


class ScannedFiles:
    """The paths of the files, and what tells whether they have changed since.

    Args:
        root: The folder of the data.
        paths: [N] the files, relative to it.
        statuses: [N] packed statuses, each read before its file; see `file_status`.
        examined: [N] `EXAMINED`.
        scanned_ns: When the scan started, in ns since 1970.

    Attributes:
        examined: As above.
        statuses: [N] uint64, a mix of each status; 0 where it may hide a change, because the file
            was new when it was scanned.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        paths: Sequence[str],
        statuses: Sequence[bytes],
        examined: NDArray[np.void],
        *,
        scanned_ns: int,
    ) -> None:
        self.examined = examined
        self.statuses = mixed(statuses)
        self.statuses[[is_racy(status, scanned_ns) for status in statuses]] = 0
        self._root = os.fspath(root)
        self._paths = paths

    def __len__(self) -> int:
        """The number of files."""
        return len(self._paths)

    def __getitem__(self, row: int) -> str:
        """The path of a file."""
        return os.path.join(self._root, self._paths[row])

    def check(self, rows: NDArray[np.int64]) -> None:
        """Check that files are still those that were scanned. Call it after reading them.

        A file with another status, as after `touch`, is decoded to compare its content.

        Args:
            rows: [B] the files.

        Raises:
            ChangedImageError: The image of one has changed.
            OSError: A file can no longer be opened.
        """
        found = mixed([packed(os.stat(self[row])) for row in rows.tolist()])
        for row in rows[found != self.statuses[rows]].tolist():
            self._check_content(row)

    def _check_content(self, row: int) -> None:
        path, now_ns = self[row], time.time_ns()
        status = packed(os.stat(path))
        try:
            found = content_hash(read_image(path))
        except UnreadableImageError as error:
            raise ChangedImageError(path) from error
        if bytes.fromhex(found) != self.examined["content_hash"][row].tobytes():
            raise ChangedImageError(path)
        if not is_racy(status, now_ns):
            self.statuses[row] = mixed([status])[0]
