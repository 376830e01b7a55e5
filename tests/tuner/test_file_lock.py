"""A lock is released when its holders end."""

import subprocess
import sys
from pathlib import Path

import pytest

from tuner.file_lock import FileLock, is_locked

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no such locks")


def test_one_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "new" / "lock"
    with FileLock(path) as lock:
        assert not is_locked(path)
        assert lock.acquire(wait=False) and is_locked(path)
        with FileLock(path) as other:
            assert not other.acquire(wait=False)
    assert not is_locked(path) and path.exists()


def test_a_process_that_was_handed_the_lock_keeps_it_until_it_ends(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with FileLock(path) as lock:
        lock.acquire(wait=True)
        command = [sys.executable, "-c", "input()"]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=(lock.handle,))
    assert is_locked(path)
    process.kill()
    process.communicate()
    assert not is_locked(path)
