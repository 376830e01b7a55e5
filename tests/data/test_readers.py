"""Rows are read as the right images at the requested size."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from proxy_keras.data import images
from proxy_keras.data.images import UnreadableImageError, read_image, resize
from proxy_keras.data.readers import ArrayReader, FileReader


def some_images(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def test_rows_are_in_the_requested_order():
    images = some_images(5, 8, 8, 3)
    batch = ArrayReader(images, 8).read(np.array([4, 0, 0]))
    assert batch.dtype == np.uint8
    assert np.array_equal(batch, images[[4, 0, 0]])
    batch[:] = 0
    assert images[4].any()


@pytest.mark.parametrize("shape", [(4, 6, 6), (4, 6, 6, 1)])
def test_grey_images_get_three_channels(shape):
    images = some_images(*shape)
    batch = ArrayReader(images, 6).read(np.array([2]))
    assert batch.shape == (1, 6, 6, 3)
    assert all(np.array_equal(batch[0, ..., c], images[2].reshape(6, 6)) for c in range(3))


def test_other_sizes_are_resized():
    images = some_images(3, 6, 9, 3)
    batch = ArrayReader(images, 8).read(np.array([1, 2]))
    assert np.array_equal(batch, np.stack([resize(images[1], 8), resize(images[2], 8)]))


def test_rows_of_several_arrays_are_numbered_consecutively():
    first, second = some_images(3, 8, 8, 3), some_images(2, 4, 4)
    reader = ArrayReader([first, second], 8)
    assert len(reader) == 5
    batch = reader.read(np.array([4, 2]))
    assert np.array_equal(batch[1], first[2])
    assert np.array_equal(batch[0], resize(np.repeat(second[1][..., None], 3, -1), 8))


def test_rows_outside_are_an_error():
    reader = ArrayReader(some_images(3, 8, 8, 3), 8)
    for row in (3, -1):
        with pytest.raises(IndexError, match=r"\[0, 3\)"):
            reader.read(np.array([row]))
    assert reader.read(np.array([], np.int64)).shape == (0, 8, 8, 3)


def test_a_memory_map_is_not_loaded(tmp_path):
    np.save(tmp_path / "images.npy", some_images(5, 8, 8, 3))
    images = np.load(tmp_path / "images.npy", mmap_mode="r")
    reader = ArrayReader(images, 8)
    assert reader._parts[0] is images
    assert np.array_equal(reader.read(np.array([3])), some_images(5, 8, 8, 3)[[3]])


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((2, 4, 4, 3), np.float32), r"must be uint8.*float32.*\* 255"),
        (np.zeros((2, 4, 4, 3), np.int64), r"must be uint8.*int64.*astype"),
        (np.zeros((2, 4, 4, 4), np.uint8), r"Received: \[2, 4, 4, 4\]"),
        (np.zeros((4, 4), np.uint8), r"Received: \[4, 4\]"),
        (np.zeros((2, 0, 4, 3), np.uint8), r"Received: \[2, 0, 4, 3\]"),
    ],
)
def test_arrays_that_are_not_images_are_refused(images, message):
    with pytest.raises(ValueError, match=message):
        ArrayReader(images, 8)


@pytest.fixture
def files(tmp_path):
    paths = []
    for number, image in enumerate(some_images(9, 12, 10, 3)):
        paths.append(tmp_path / f"{number}.png")
        Image.fromarray(image).save(paths[-1])
    return paths


def test_files_are_read_and_resized(files):
    reader = FileReader(files, 8, workers=3)
    assert len(reader) == 9
    batch = reader.read(np.array([7, 1, 7]))
    expected = [resize(read_image(files[row]), 8) for row in (7, 1, 7)]
    assert np.array_equal(batch, np.stack(expected))


def test_files_are_opened_only_when_they_are_read(files):
    reader = FileReader(files, 8)
    files[3].write_bytes(b"")
    reader.read(np.array([2, 4]))
    with pytest.raises(UnreadableImageError, match=r"3\.png"):
        reader.read(np.array([2, 3]))
    files[4].unlink()
    with pytest.raises(FileNotFoundError):
        reader.read(np.array([4]))


def test_many_threads_may_read(files):
    reader = FileReader(files, 8, workers=2)
    expected = reader.read(np.arange(9))
    with ThreadPoolExecutor(8) as pool:
        rows = [np.roll(np.arange(9), shift) for shift in range(24)]
        for shift, batch in zip(rows, pool.map(reader.read, rows), strict=True):
            assert np.array_equal(batch, expected[shift])


def test_large_photographs_stay_close_to_the_full_decode(tmp_path):
    # Detail at the scale of the result, which a decode at an eighth (25 px) would lose.
    detail = np.kron(some_images(25, 25), np.ones((8, 8))).astype(np.uint8)
    Image.fromarray(detail).convert("RGB").save(tmp_path / "photo.jpg", quality=95)
    batch = FileReader([tmp_path / "photo.jpg"], 32).read(np.array([0]))
    full = resize(read_image(tmp_path / "photo.jpg"), 32)
    assert np.abs(batch[0].astype(int) - full).mean() <= 2


def test_large_photographs_are_not_decoded_at_full_size(tmp_path, monkeypatch):
    Image.new("RGB", (800, 800)).save(tmp_path / "photo.jpg")
    sizes = []
    convert = images._to_rgb
    monkeypatch.setattr(
        images, "_to_rgb", lambda picture: sizes.append(picture.size) or convert(picture)
    )
    FileReader([tmp_path / "photo.jpg"], 32).read(np.array([0]))
    assert sizes == [(100, 100)]
