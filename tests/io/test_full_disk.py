"""A full disk is recognised, whoever tells of it, and said with what is free and used."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
import tensorflow as tf

from proxy_keras.io.full_disk import disk_full_message, is_disk_full

TEXT = "No space left on device"


@pytest.mark.parametrize(
    ("error", "is_full"),
    [
        (OSError(errno.ENOSPC, TEXT, "a.npz"), True),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), True),
        # As HDF5 and TensorFlow say it.
        (OSError(f"Can't synchronously write data (errno = 28, error message = '{TEXT}')"), True),
        (tf.errors.ResourceExhaustedError(None, None, f"events.v2; {TEXT}"), True),
        (tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor"), False),
        (OSError(errno.EACCES, "Permission denied", "a.npz"), False),
        (ValueError("28"), False),
    ],
)
def test_what_is_a_full_disk(error: Exception, is_full: bool) -> None:
    assert is_disk_full(error) == is_full


def test_the_message_says_what_where_and_how_much(tmp_path: Path) -> None:
    run = tmp_path / "run"
    error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "weights.npz")
    message = disk_full_message(error, run)
    assert "weights.npz could not be written. " in message and "holds 0.0 MiB" in message
    (run / "checkpoints").mkdir(parents=True)
    (run / "checkpoints" / "a").write_bytes(bytes(3 * 2**20))
    message = disk_full_message(OSError(TEXT), run)
    assert f"{TEXT}. " in message and f"free for {run}, which holds 3.0 MiB" in message
    assert message.endswith("run the same command with --resume.")
