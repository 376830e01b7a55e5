"""Scans of a small folder, and what they are compared by."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
from PIL import Image

from proxy_keras.data.scan import ScanResult, scan_folder

COUNT = 12


def paint(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def seen(opened: list[str]) -> list[str]:
    names = sorted(opened)
    opened.clear()
    return names


def start(root, **options) -> ScanResult:
    return scan_folder(root, progress=False, workers=2, **options)


def entries(file) -> int:
    with sqlite3.connect(file) as database:
        (count,) = database.execute("SELECT COUNT(*) FROM files").fetchone()
    database.close()
    return count


def check_same(one, two) -> None:
    assert one == two
    assert np.array_equal(one.files.examined, two.files.examined)
    assert np.array_equal(one.files.statuses, two.files.statuses)
