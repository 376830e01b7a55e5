"""Images are read in batches by position, from arrays, files and streams alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from proxy_keras.cues.readable_images import ArrayImages, SplitImagesReader
from proxy_keras.data import ImageData

ARRAY = np.arange(5 * 2 * 3 * 1).reshape(5, 2, 3, 1)


def test_an_array_is_read_in_batches_in_the_given_order() -> None:
    images = ArrayImages(ARRAY, [2, 0, -1, 1, 0])
    assert images.example_ids == ["0", "1", "2", "3", "4"]
    assert images.labels.tolist() == [2, 0, -1, 1, 0] and images.labels.dtype == np.int32
    batches = list(images.batches(np.array([0, 2, 4]), 2))
    assert [places.tolist() for places, _ in batches] == [[0, 2], [4]]
    np.testing.assert_array_equal(batches[0][1], ARRAY[[0, 2]].astype(np.float32))
    assert batches[0][1].dtype == np.float32
    assert ArrayImages(ARRAY).labels.tolist() == [-1] * 5


def test_a_memory_map_is_not_read_whole(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", ARRAY)
    images = ArrayImages(np.load(tmp_path / "a.npy", mmap_mode="r"))
    assert isinstance(images._images, np.memmap)
    ((_, batch),) = images.batches(np.array([3]), 8)
    np.testing.assert_array_equal(batch, ARRAY[[3]])


@pytest.mark.parametrize(
    "images",
    [
        ARRAY[0],
        ARRAY[:0],
        ARRAY[:, :, :0],
        ARRAY.astype(str),
        ARRAY.astype(object),
        ARRAY.astype(complex),
        "photos",
        None,
        {"a": 1},
        tf.data.Dataset.range(3),
    ],
)
def test_other_images_are_refused(images: Any) -> None:
    with pytest.raises(ValueError, match=r"`images` must be an ImageData, .*Received: shape"):
        ArrayImages(images)


def test_images_of_different_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="all of one size. Received: a list of different sizes"):
        ArrayImages([np.zeros([2, 2, 3]), np.zeros([3, 2, 3])])


@pytest.mark.parametrize("labels", [[0] * 4, [0.0] * 5, ["a"] * 5, np.eye(5, dtype=int), 3])
def test_other_labels_are_refused(labels: Any) -> None:
    with pytest.raises(ValueError, match="`labels` must be 5 integers, one per image. Received"):
        ArrayImages(ARRAY, labels)


def test_a_stream_is_read_in_its_own_order_without_loss() -> None:
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, [12, 8, 8, 3]).astype(np.uint8)
    stream = tf.data.Dataset.from_tensor_slices((pictures, np.arange(12) % 2))
    data = ImageData.from_dataset(stream, image_size=8, progress=False)
    images = SplitImagesReader(data.train)
    chosen = np.array([1, 4, 5])
    places, batch = next(images.batches(chosen, 8))
    assert sorted(places.tolist()) == [1, 4, 5]
    every = {
        place: image
        for p, b in images.batches(np.arange(len(data.train)), 3)
        for place, image in zip(p, b, strict=True)
    }
    assert sorted(every) == list(range(len(data.train)))
    for place, image in zip(places.tolist(), batch, strict=True):
        np.testing.assert_array_equal(image, every[place])
