"""What is given as arrays: lists and tensors work, anything else is refused with the way out."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from proxy_keras.data import ImageData

IMAGES = np.random.default_rng(0).integers(0, 256, (30, 8, 8, 3), dtype=np.uint8)
LABELS = np.arange(30) % 3


def table(images=IMAGES, labels=LABELS, **options):
    return ImageData.from_arrays(images, labels, progress=False, **options).table


@pytest.mark.parametrize(
    "images",
    [IMAGES.tolist(), list(IMAGES), tuple(IMAGES), tf.constant(IMAGES), tf.Variable(IMAGES)],
    ids=["numbers", "list of arrays", "tuple", "tensor", "variable"],
)
def test_lists_and_tensors_of_images(images):
    assert table(images) == table()
    given = {"test_images": images, "test_labels": LABELS.tolist()}
    other = np.roll(IMAGES, 1, axis=2)
    assert table(other, **given) == table(other, test_images=IMAGES, test_labels=LABELS)


@pytest.mark.parametrize(
    "labels",
    [
        LABELS.tolist(),
        tf.constant(LABELS),
        LABELS[:, None],
        LABELS.astype(np.uint8),
        LABELS.astype(np.float32)[:, None],
    ],
    ids=["list", "tensor", "column", "uint8", "binary labels of Keras"],
)
def test_lists_and_tensors_of_labels(labels):
    assert table(labels=labels) == table()


@pytest.mark.parametrize("make", [list, np.array, tf.constant], ids=["list", "array", "tensor"])
def test_labels_that_are_bytes_are_names(make):
    names = np.array(["caf\u00e9", "dog", "owl"])[LABELS]
    assert table(labels=make([name.encode() for name in names])) == table(labels=names)


def test_class_names_may_be_an_array():
    names = np.array(["a", "b", "c"])
    classes = table(classes=names).classes
    assert classes == ("a", "b", "c") and {type(name) for name in classes} == {str}


def test_a_pair_of_equal_sides_is_one():
    data = ImageData.from_arrays(IMAGES, LABELS, image_size=(16, 16), progress=False)
    assert data.image_size == 16
    data = ImageData.from_arrays(IMAGES, LABELS, image_size=np.int64(16), progress=False)
    assert type(data.image_size) is int


SIZES = [
    ((32, 48), ValueError, r"one side, .*Received: \(32, 48\). Pass image_size=48"),
    (32.0, TypeError, "must be an integer, such as 224. Received: 32.0"),
    ("32", TypeError, "must be an integer.*Received: '32'"),
    (True, TypeError, "must be an integer.*Received: True"),
    ((32, 32, 3), TypeError, "must be an integer"),
    (0, ValueError, "must be >= 8"),
]


@pytest.mark.parametrize(("size", "error", "message"), SIZES)
def test_sizes_that_are_none_are_refused_by_every_source(tmp_path, size, error, message):
    (tmp_path / "cat").mkdir()
    pairs = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS))
    for load in (
        lambda: table(image_size=size),
        lambda: ImageData.from_folder(tmp_path, image_size=size, progress=False),
        lambda: ImageData.from_dataset(pairs, image_size=size, progress=False),
        lambda: ImageData.from_source("digits", image_size=size, progress=False),
    ):
        with pytest.raises(error, match=message):
            load()


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"images": None}, TypeError, "`images` must be an array .*Received: NoneType"),
        ({"images": "photos"}, TypeError, "Received: str. For files, use ImageData.from_folder"),
        ({"images": [*IMAGES[:29], IMAGES[0, :4]]}, ValueError, "must have the same size"),
        ({"images": (IMAGES / 255).tolist()}, ValueError, "must be uint8"),
        ({"images": (IMAGES.astype(int) - 1).tolist()}, ValueError, "must be uint8"),
        ({"images": IMAGES.astype(int)}, ValueError, "must be uint8"),
        ({"labels": None}, TypeError, "one integer or string per image. Received: None"),
        ({"labels": LABELS / 2}, ValueError, "integers or strings. Received: float64"),
        ({"labels": LABELS > 0}, ValueError, r"Received: bool.*labels.astype\(int\)"),
        ({"classes": {"a": 0, "b": 1, "c": 2}}, TypeError, r"sorted\(classes, key=classes.get\)"),
        ({"classes": "abc"}, TypeError, "list of strings.*Received: 'abc'"),
        ({"classes": [1, 2, 3]}, TypeError, r"list of strings.*Received: \[1, 2, 3\]"),
        ({"boxes": [[0, 0, 4]] * 30}, ValueError, r"must be \[N, 4\].*Received: \[30, 3\]"),
    ],
)
def test_what_is_no_array_is_refused(given, error, message):
    with pytest.raises(error, match=message):
        table(**given)


def test_counts_must_be_integers():
    data = ImageData.from_arrays(IMAGES, LABELS, progress=False)
    with pytest.raises(TypeError, match="`limit` must be an integer. Received: 10.0"):
        data.limit_training(10.0)
    for batch_size in (8.0, "8", True):
        for split in (data.train, data.val):
            with pytest.raises(TypeError, match="`batch_size` must be an integer"):
                split.batches(batch_size)
