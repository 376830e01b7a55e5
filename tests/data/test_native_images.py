"""Files read by TensorFlow's own operations give the pixels that serving gives."""

from __future__ import annotations

import os

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from proxy_keras.data.data_split import DataSplit
from proxy_keras.data.images import read_resized
from proxy_keras.data.readers import FileReader
from proxy_keras.data.scan import scan_folder

SIDE = 16
NATIVE = {
    "a.jpg": ("RGB", {"quality": 90}),
    "b.jpg": ("RGB", {"quality": 60, "subsampling": 0, "progressive": True}),
    "c.jpg": ("L", {"quality": 75}),
    "d.png": ("RGB", {}),
    "e.png": ("L", {}),
    "f.png": ("P", {}),
}
OTHER = {
    "g.png": ("RGBA", {}),
    "h.bmp": ("RGB", {}),
    "i.gif": ("P", {}),
    "j.jpg": ("CMYK", {}),
    "large.jpg": ("RGB", {}),
}
KINDS = sorted({**NATIVE, **OTHER})
N = len(KINDS)


def write_kinds(root):
    random = np.random.default_rng(0)
    for name, (mode, options) in {**NATIVE, **OTHER}.items():
        side = 50 if name == "large.jpg" else SIDE
        pixels = random.integers(0, 256, (side, side, 4 if mode == "RGBA" else 3), np.uint8)
        folder = root / ("one" if name in NATIVE else "two")
        folder.mkdir(exist_ok=True)
        Image.fromarray(pixels).convert(mode).save(folder / name, **options)
    return root


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    """Return a reader of one picture of each kind; its rows are in the order of `KINDS`."""
    found = scan_folder(write_kinds(tmp_path_factory.mktemp("kinds")), progress=False)
    return FileReader(found.files, SIDE)


def split_of(reader, rows, finish=None) -> DataSplit:
    labels, ids = np.arange(len(rows)), [str(number) for number in range(len(rows))]
    return DataSplit(reader, rows, labels, ids, name="val", seed=0, classes=KINDS, finish=finish)


def images_of(split: DataSplit, batch_size: int) -> np.ndarray:
    return np.concatenate([images for images, _ in split.batches(batch_size).as_numpy_iterator()])


@given(rows=st.lists(st.integers(0, N - 1), min_size=1, max_size=12), batch_size=st.integers(1, 5))
@settings(max_examples=25, deadline=None)
def test_any_mixture_of_files_gives_the_pixels_of_serving(reader, rows, batch_size):
    found = images_of(split_of(reader, np.array(rows)), batch_size)
    expected = [read_resized(reader._files[row], SIDE) for row in rows]
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected)


def test_only_files_in_doubt_and_those_of_another_size_are_opened_in_python(reader, monkeypatch):
    opened = []

    def read(path, side):
        opened.append(os.path.basename(path))
        return read_resized(path, side)

    monkeypatch.setattr("proxy_keras.data.readers.read_resized", read)
    assert images_of(split_of(reader, np.arange(N)), 4).std() > 50
    assert sorted(opened) == sorted(OTHER)


def test_images_that_are_not_wanted_are_black(reader):
    split = split_of(reader, np.arange(N))
    expected = reader.read(np.arange(N))
    for wanted in ([0, 6], [2], [], list(range(N))):
        is_wanted = np.isin(np.arange(N), wanted)
        _, images = split._read(reader, tf.range(N, dtype=tf.int64), tf.constant(is_wanted))
        assert np.array_equal(images, np.where(is_wanted[:, None, None, None], expected, 0))


def test_images_are_finished_by_their_rows(reader):
    def darker(images, rows):
        return images // 2 + rows[:, None, None, None].astype(np.uint8)

    rows = np.array([3, 0, 7])
    expected = reader.read(rows) // 2 + rows[:, None, None, None]
    np.testing.assert_array_equal(images_of(split_of(reader, rows, finish=darker), 2), expected)


@pytest.mark.parametrize("row", [0, 3])
def test_a_file_that_changes_after_the_scan_is_an_error(tmp_path, row):
    found = scan_folder(write_kinds(tmp_path), progress=False)
    split = split_of(FileReader(found.files, SIDE), np.arange(N))
    images_of(split, 4)
    path = found.files[row]
    before = os.stat(path)
    Image.new("RGB", (SIDE, SIDE), "red").save(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(tf.errors.OpError, match=f"{os.path.basename(path)}.* has another content"):
        images_of(split, 4)
