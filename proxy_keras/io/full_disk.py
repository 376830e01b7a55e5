"""Full disks: how they are recognised, and what is said of them."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

EXIT_CODE = os.EX_IOERR
"""Exit code of a command that stopped because a disk is full: the same command may go on."""

_CODES = (errno.ENOSPC, errno.EDQUOT)


def is_disk_full(error: Exception) -> bool:
    """Return whether an error of Python, HDF5 or TensorFlow says that a disk is full."""
    # HDF5 and TensorFlow tell it in their message only.
    return getattr(error, "errno", None) in _CODES or os.strerror(errno.ENOSPC) in str(error)


def disk_full_message(error: Exception, folder: Path) -> str:
    """Return what happened to a run in `folder`, and how to go on."""
    file = getattr(error, "filename", None)
    said = getattr(error, "strerror", None) or error
    what = f"{file} could not be written" if file else said
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    used = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return (
        f"the disk is full: {what}. {_mib(shutil.disk_usage(there).free)} are free for {folder}, "
        f"which holds {_mib(used)}. Free some space, and run the same command with --resume."
    )


def _mib(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"
