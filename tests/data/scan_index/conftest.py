"""A folder of images, a cache of its own, and what scans open."""

from __future__ import annotations

import os

import pytest

from proxy_keras.data import scan
from tests.data.scan_index.scans import COUNT, paint


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    """A cache for each test, and files that are trusted as soon as they are written."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("proxy_keras.data.file_status.RACY_NS", 0)


@pytest.fixture
def root(tmp_path):
    for number in range(COUNT):
        paint(tmp_path / "photos" / "ab"[number % 2] / f"{number:02d}.png", number)
    (tmp_path / "photos/a/text.jpg").write_text("no image")
    return tmp_path / "photos"


@pytest.fixture
def opened(monkeypatch) -> list[str]:
    """The names of the files that scans have opened; emptied by `seen`."""
    names: list[str] = []

    def read_image(path, **options):
        names.append(os.path.basename(path))
        return original(path, **options)

    original = scan.read_image
    monkeypatch.setattr(scan, "read_image", read_image)
    return names
