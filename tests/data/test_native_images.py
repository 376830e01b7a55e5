"""Files read by TensorFlow's own operations give the pixels that serving gives."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from proxy_keras.data.data_split import DataSplit
from proxy_keras.data.readers import FileReader

SIDE = 16
KINDS = {
    "a.jpg": ("RGB", {"quality": 90}),
    "b.jpg": ("RGB", {"quality": 60, "subsampling": 0, "progressive": True}),
    "c.jpg": ("L", {"quality": 75}),
    "d.png": ("RGB", {}),
    "e.png": ("L", {}),
    "f.png": ("P", {}),
    "g.png": ("RGBA", {}),
    "h.bmp": ("RGB", {}),
    "i.gif": ("P", {}),
}
NATIVE = np.array([name < "g" for name in KINDS])


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Return a folder of one picture of each kind."""
    root = tmp_path_factory.mktemp("kinds")
    random = np.random.default_rng(0)
    for name, (mode, options) in KINDS.items():
        pixels = random.integers(0, 256, (SIDE, SIDE, 4 if mode == "RGBA" else 3), np.uint8)
        Image.fromarray(pixels).convert(mode).save(root / name, **options)
    return root


def paths(root):
    return [root / name for name in KINDS]


def split_of(root, is_native, rows, finish=None) -> DataSplit:
    reader = FileReader(paths(root), SIDE, is_native=is_native)
    labels, ids = np.arange(len(rows)), [str(number) for number in range(len(rows))]
    return DataSplit(
        reader, rows, labels, ids, name="val", seed=0, classes=list(KINDS), finish=finish
    )


def images_of(split: DataSplit, batch_size: int) -> np.ndarray:
    return np.concatenate([images for images, _ in split.batches(batch_size).as_numpy_iterator()])


@given(
    rows=st.lists(st.sampled_from(range(len(KINDS))), min_size=1, max_size=12),
    native=st.lists(st.booleans(), min_size=len(KINDS), max_size=len(KINDS)),
    batch_size=st.integers(1, 5),
)
@settings(max_examples=25, deadline=None)
def test_any_mixture_of_files_gives_the_same_pixels(files, rows, native, batch_size):
    rows = np.array(rows)
    expected = FileReader(paths(files), SIDE).read(rows)
    found = images_of(split_of(files, NATIVE & native, rows), batch_size)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected)


def test_native_files_are_not_opened_in_python(files, monkeypatch):
    opened = []
    monkeypatch.setattr(
        "proxy_keras.data.readers.read_resized", lambda path, _: opened.append(path)
    )
    assert images_of(split_of(files, NATIVE, np.flatnonzero(NATIVE)), 4).std() > 50
    assert opened == []


def test_images_that_are_not_wanted_are_black_and_not_read(files):
    split = split_of(files, NATIVE, np.arange(len(KINDS)))
    expected = FileReader(paths(files), SIDE).read(np.arange(len(KINDS)))
    for wanted in ([0, 6], [2], [], list(range(9))):
        is_wanted = np.isin(np.arange(9), wanted)
        _, images = split._read(split._reader, tf.range(9, dtype=tf.int64), tf.constant(is_wanted))
        assert np.array_equal(images, np.where(is_wanted[:, None, None, None], expected, 0))


def test_images_are_finished_by_their_rows(files):
    def brighter(images, rows):
        return images // 2 + rows[:, None, None, None].astype(np.uint8)

    rows = np.array([3, 0, 7])
    expected = FileReader(paths(files), SIDE).read(rows) // 2
    found = images_of(split_of(files, NATIVE, rows, finish=brighter), 2)
    np.testing.assert_array_equal(found, expected + rows[:, None, None, None])
