"""Files that change after the scan are an error; files that are only touched are not."""

from __future__ import annotations

import os
import struct
import time

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from proxy_keras.data import ChangedImageError, ImageData, scanned_files
from proxy_keras.data.file_status import RACY_NS, is_racy, mixed, packed
from proxy_keras.data.readers import FileReader
from proxy_keras.data.scan import scan_folder

NUMBERS = st.integers(0, 2**64 - 1)
STATUS = st.tuples(NUMBERS, NUMBERS, NUMBERS, NUMBERS)


def status(*numbers: int) -> bytes:
    return struct.pack("<4Q", *numbers)


@given(st.lists(STATUS, unique=True))
def test_each_status_has_its_own_number(statuses):
    numbers = mixed([status(*one) for one in statuses])
    assert numbers.dtype == np.uint64 and numbers.shape == (len(statuses),)
    assert len(set(numbers.tolist()) | {0}) == len(statuses) + 1


@given(STATUS, st.integers(0, 3), st.integers(0, 63))
def test_every_bit_of_a_status_changes_about_half_of_its_number(numbers, column, bit):
    other = list(numbers)
    other[column] ^= 1 << bit
    one, two = mixed([status(*numbers), status(*other)]).tolist()
    assert 8 <= (one ^ two).bit_count() <= 56


SECOND = 1_000_000_000
NOW = 1_700_000_000 * SECOND


@pytest.mark.parametrize(
    ("content_s", "status_s", "expected"),
    [
        (-100, -100, False),
        (-100, -1, True),
        (-1, -100, True),
        (-100, 3600, True),  # The clock of a file server that is ahead.
        (3600, -100, False),  # Set by `touch`.
        (-3, -3, False),
        (-2, -3, True),
    ],
)
def test_recent_files_may_hide_a_change(content_s, status_s, expected):
    assert RACY_NS == 2 * SECOND
    times = NOW + content_s * SECOND, NOW + status_s * SECOND
    assert is_racy(status(7, *times, 5), NOW) == expected


def test_a_status_holds_what_the_system_says(tmp_path):
    (tmp_path / "a").write_bytes(b"12345")
    os.utime(tmp_path / "a", ns=(1, -5))
    found = os.stat(tmp_path / "a")
    assert packed(found) == status(5, 2**64 - 5, found.st_ctime_ns, found.st_ino)


def paint(path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def root(tmp_path):
    for number in range(12):
        paint(tmp_path / "photos" / "ab"[number % 2] / f"{number:02d}.png", number)
    return tmp_path / "photos"


@pytest.fixture
def old(monkeypatch):
    """Makes all files old enough for their status to be trusted."""
    monkeypatch.setattr("proxy_keras.data.file_status.RACY_NS", 0)


@pytest.fixture
def decoded(monkeypatch) -> list[str]:
    """The names of the files that a check has decoded."""
    names: list[str] = []

    def read_image(path):
        names.append(os.path.basename(path))
        return original(path)

    original = scanned_files.read_image
    monkeypatch.setattr(scanned_files, "read_image", read_image)
    return names


def scanned(root):
    return scan_folder(root, progress=False, index=None).files


def test_files_as_they_were_are_not_decoded(root, old, decoded):
    files = scanned(root)
    files.check(np.arange(12))
    assert decoded == []
    assert len(files) == 12 and files[1] == os.path.join(root, "a/02.png")
    assert files.statuses.dtype == np.uint64 and files.statuses.all()
    assert files.examined.itemsize == 41
    assert files.examined[["height", "width", "is_ordinary"]][1].tolist() == (8, 8, True)


@pytest.mark.parametrize(
    "touch",
    [
        os.utime,
        lambda path: os.chmod(path, 0o600),
        lambda path: os.link(path, f"{path}.link"),
        lambda path: Image.open(path).save(path, compress_level=1),
    ],
    ids=["touched", "other rights", "linked", "written again"],
)
def test_files_with_the_same_content_are_decoded_once(root, old, decoded, touch):
    files = scanned(root)
    before = files.statuses.copy()
    time.sleep(0.02)
    touch(files[1])
    for _ in range(3):
        files.check(np.array([0, 1]))
    assert decoded == ["02.png"]
    assert np.flatnonzero(files.statuses != before).tolist() == [1]


def test_new_files_are_decoded_until_their_status_can_be_trusted(root, decoded, monkeypatch):
    files = scanned(root)
    assert not files.statuses.any()
    for _ in range(2):
        files.check(np.array([1]))
    assert decoded == ["02.png"] * 2
    monkeypatch.setattr("proxy_keras.data.file_status.RACY_NS", 0)
    for _ in range(2):
        files.check(np.array([1]))
    assert decoded == ["02.png"] * 3


def same_size(path) -> None:
    """Change a pixel, and give the file its old size and time of change."""
    before = os.stat(path)
    pixels = np.asarray(Image.open(path)).copy()
    pixels[0, 0, 0] ^= 1
    Image.fromarray(pixels).save(path, "BMP")
    os.truncate(path, max(before.st_size, os.stat(path).st_size))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert os.stat(path).st_mtime_ns == before.st_mtime_ns


@pytest.mark.parametrize(
    "change",
    [lambda path: paint(path, 99), same_size, lambda path: path.write_bytes(b"no image")],
    ids=["another", "time set back", "damaged"],
)
@pytest.mark.parametrize("is_new", [False, True])
def test_another_content_is_an_error(root, change, is_new, request):
    if not is_new:
        request.getfixturevalue("old")
    files = scanned(root)
    time.sleep(0.02)
    change(root / "a/02.png")
    files.check(np.array([0, 2, 11]))
    with pytest.raises(ChangedImageError, match=r"must not change.*02\.png.*Restore") as caught:
        files.check(np.array([0, 1]))
    assert caught.value.path == files[1]


def test_a_removed_file_is_an_error(root):
    files = scanned(root)
    os.unlink(files[1])
    with pytest.raises(FileNotFoundError):
        files.check(np.array([1]))


def test_a_reader_refuses_changed_files(root, old):
    reader = FileReader(scanned(root), 8)
    before = reader.read(np.arange(12))
    time.sleep(0.02)
    paint(root / "b/03.png", 99)
    assert np.array_equal(reader.read(np.arange(6)), before[:6])
    with pytest.raises(ChangedImageError, match=r"03\.png"):
        reader.read(np.arange(12))


def test_fit_tells_which_file_has_changed(root, old):
    data = ImageData.from_folder(root, image_size=8, progress=False, index=None)
    layers = [keras.Input([8, 8, 3]), keras.layers.Flatten(), keras.layers.Dense(2)]
    model = keras.Sequential(layers)
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    batches = data.train.batches(4)
    model.fit(batches, verbose=0, shuffle=False)
    time.sleep(0.02)
    path = data.table.paths[data.table.splits.index("train")]
    paint(root / path, 99)
    with pytest.raises(tf.errors.InvalidArgumentError, match=rf"must not change.*{path}.*Restore"):
        model.fit(batches, verbose=0, shuffle=False)
