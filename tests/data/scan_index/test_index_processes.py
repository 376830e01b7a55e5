"""Processes that scan one folder at once, or are stopped."""

from __future__ import annotations

import signal
import sqlite3
import time

import pytest

from proxy_keras.data import scan
from proxy_keras.data.index_files import cached_file
from tests.data.scan_index.scans import COUNT, entries, seen, start


def test_an_interrupted_scan_keeps_what_it_has_done(root, opened, monkeypatch):
    def read_image(path, **options):
        if path.endswith("b/11.png"):
            raise KeyboardInterrupt
        return original(path, **options)

    original = scan.read_image
    monkeypatch.setattr(scan, "_CHUNK", 1)
    with monkeypatch.context() as patch:
        patch.setattr(scan, "read_image", read_image)
        with pytest.raises(KeyboardInterrupt):
            start(root)
    seen(opened)
    assert len(start(root).records) == COUNT
    assert "11.png" in opened and len(seen(opened)) < COUNT


SCAN = """
import sys, time
from proxy_keras.data import scan, scan_index
from proxy_keras.data.split_draw import draw_split

scan_index._PORTION_S = 0.0
root, delay_s = sys.argv[1], float(sys.argv[2])
original = scan.read_image

def read_image(path, **options):
    time.sleep(delay_s)
    return original(path, **options)

scan.read_image = read_image
scan._CHUNK = 1
found = scan.scan_folder(root, progress=False)
print(len(found.records), draw_split(found.records, seed=0).table.sha256)
"""


@pytest.fixture
def started(root, commands):
    """Returns a function that starts a scan of files old enough to be trusted, in a process."""
    time.sleep(2.1)
    return lambda delay_s: commands.start("-c", SCAN, root, delay_s)


@pytest.mark.slow
def test_several_processes_at_once(root, started, opened):
    processes = [started(0.05) for _ in range(4)]
    said = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0] * 4
    assert {errors for _, errors in said} == {""}
    assert len({out for out, _ in said}) == 1
    assert said[0][0].startswith(f"{COUNT} ")
    start(root)
    assert opened == []


@pytest.mark.slow
def test_a_killed_process_leaves_what_it_has_done(root, started, opened):
    process, file = started(0.3), cached_file(root)
    while process.poll() is None and not (file.exists() and has_entries(file)):
        time.sleep(0.02)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    kept = entries(file)
    assert 0 < kept < COUNT + 1
    assert len(start(root).records) == COUNT
    assert len(seen(opened)) == COUNT + 1 - kept


def has_entries(file) -> bool:
    try:
        return entries(file) > 0
    except sqlite3.OperationalError:
        # Not made yet, or being written.
        return False
