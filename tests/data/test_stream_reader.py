"""A tf.data.Dataset is read in its order, or refused with a remedy."""

from __future__ import annotations

import io

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from proxy_keras.data.images import resize
from proxy_keras.data.readers import FileReader
from proxy_keras.data.records import Skipped, content_hash
from proxy_keras.data.stream_reader import StreamReader

IMAGES = np.random.default_rng(0).integers(0, 256, (12, 10, 8, 3), dtype=np.uint8)
LABELS = np.arange(12) % 3


def dataset(images=IMAGES, labels=LABELS) -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices((images, labels))


def reader(data: tf.data.Dataset, **options) -> StreamReader:
    return StreamReader(data, 8, name="train", progress=False, **options)


def streamed(source: StreamReader, rows) -> tuple[list[int], np.ndarray]:
    found = list(source.stream(np.array(rows)).as_numpy_iterator())
    return [int(row) for row, _ in found], np.stack([image for _, image in found])


def test_records():
    records = reader(dataset(), split="train", classes=["x", "y", "z"]).records
    assert [r.path for r in records] == [f"train/{i}" for i in range(12)]
    assert [r.label for r in records] == list("xyz" * 4)
    assert {r.split for r in records} == {"train"}
    assert [r.content_hash for r in records] == [content_hash(image) for image in IMAGES]


@pytest.mark.parametrize("classes", [None, ["cafe\u0301", "Mu%F1oz"]])
def test_labels_that_are_not_utf8_or_in_another_normal_form(classes):
    labels = [b"caf\xc3\xa9", b"Mu\xf1oz"] * 6
    records = reader(dataset(labels=labels), classes=classes).records
    assert [r.label for r in records[:2]] == (classes or ["caf\u00e9", "Mu%F1oz"])


def test_binary_labels_of_keras(tmp_path):
    for number, image in enumerate(IMAGES):
        (tmp_path / "ab"[number % 2]).mkdir(exist_ok=True)
        Image.fromarray(image).save(tmp_path / "ab"[number % 2] / f"{number}.png")
    labels = {}
    for mode in ("binary", "int"):
        pairs = keras.utils.image_dataset_from_directory(
            tmp_path, label_mode=mode, image_size=(8, 8), shuffle=False, verbose=0
        ).unbatch()
        labels[mode] = [r.label for r in reader(pairs, classes=["a", "b"]).records]
    assert labels["binary"] == labels["int"] == ["a"] * 6 + ["b"] * 6


@pytest.mark.parametrize("shape", [(-1,), (-1, 1)])
@pytest.mark.parametrize("dtype", [np.float32, np.int64, "S1"])
def test_labels_as_floats_and_columns(dtype, shape):
    labels = LABELS.astype(dtype).reshape(shape)
    assert [r.label for r in reader(dataset(labels=labels)).records] == ["0", "1", "2"] * 4


def test_requested_rows_are_in_the_order_of_the_stream():
    rows, images = streamed(reader(dataset()), [7, 2, 11])
    assert rows == [2, 7, 11]
    assert images.dtype == np.uint8
    assert np.array_equal(images, np.stack([resize(IMAGES[row], 8) for row in rows]))


def test_rows_can_start_at_another_number():
    source = reader(dataset(), first_row=100)
    assert source.rows.tolist() == list(range(100, 112))
    rows, images = streamed(source, [103])
    assert rows == [103]
    assert np.array_equal(images[0], resize(IMAGES[3], 8))


def test_nothing_is_read_after_the_last_requested_row():
    drawn = []

    def elements():
        for place in range(12):
            drawn.append(place)
            yield IMAGES[place], LABELS[place]

    signature = (tf.TensorSpec((10, 8, 3), tf.uint8), tf.TensorSpec((), tf.int64))
    source = reader(tf.data.Dataset.from_generator(elements, output_signature=signature))
    drawn.clear()
    streamed(source, [0, 4])
    assert drawn == [0, 1, 2, 3, 4]


def test_floats_are_rounded():
    one = reader(dataset(IMAGES.astype(np.float32) + 0.25 * (IMAGES < 255)))
    assert [r.content_hash for r in one.records] == [content_hash(image) for image in IMAGES]


def test_string_labels_and_grey_images():
    grey = IMAGES[..., :1]
    source = reader(dataset(grey, np.array(list("abc" * 4))))
    assert [r.label for r in source.records] == list("abc" * 4)
    assert source.records[0].content_hash == content_hash(np.repeat(grey[0], 3, -1))


def png(image: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


def test_bytes_of_files_are_decoded_and_bad_ones_listed():
    files = [png(image) for image in IMAGES[:5]]
    files[1], files[3] = b"", files[3][:60]
    source = reader(dataset(files, LABELS[:5]))
    assert source.skipped == [
        Skipped("train/1", "empty file", str(LABELS[1])),
        Skipped("train/3", "truncated", str(LABELS[3])),
    ]
    assert source.rows.tolist() == [0, 2, 4]
    rows, images = streamed(source, source.rows)
    assert rows == [0, 2, 4]
    assert np.array_equal(images, np.stack([resize(IMAGES[row], 8) for row in rows]))


def test_bytes_are_decoded_as_files_are(tmp_path):
    detail = np.random.default_rng(0).integers(0, 256, (60, 60, 3), dtype=np.uint8)
    path = tmp_path / "photo.jpg"
    Image.fromarray(detail).save(path)
    _, images = streamed(reader(dataset([path.read_bytes()], LABELS[:1])), [0])
    assert np.array_equal(images, FileReader([path], 8).read(np.array([0])))


def test_images_of_different_sizes():
    files = [png(IMAGES[0]), png(IMAGES[1][:4])]
    decoded = dataset(files, LABELS[:2]).map(lambda file, label: (tf.io.decode_png(file), label))
    _, images = streamed(reader(decoded), [0, 1])
    assert np.array_equal(images[1], resize(IMAGES[1][:4], 8))


def scaled(factor: float, data: tf.data.Dataset) -> tf.data.Dataset:
    return data.map(lambda image, label: (tf.cast(image, tf.float32) * factor, label))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (dataset().batch(4), r"batched.*unbatch\(\)"),
        (dataset().repeat(), "infinite"),
        (dataset().shuffle(12), "remove `shuffle`"),
        (dataset().take(0), "None of the 0 elements of"),
        (scaled(1 / 255, dataset()), r"floats up to 1; .*image \* 255"),
        (scaled(-1, dataset()), r"train/0: its values must be in \[0, 255\]"),
        (scaled(2, dataset()), r"its values must be in \[0, 255\]"),
        (scaled(np.nan, dataset()), "nan"),
        (dataset(IMAGES.astype(np.int32)), "int32"),
        (dataset(IMAGES[..., :2]), r"train/0: an image must be \[h, w, 3\]"),
        (dataset(labels=np.eye(12)[LABELS]), "one-hot"),
        (dataset(labels=LABELS > 0), r"one integer or string.*tf.cast\(label, tf.int32\)"),
        (dataset(labels=np.eye(12)[LABELS][:, None]), "Map them to class ids first"),
        (dataset(labels=LABELS + 0.5), "label of train/0 is 0.5; it must be a whole number"),
        (dataset(labels=np.full(12, np.nan)), "must be a whole number"),
        (dataset(labels=LABELS - 1), "label of train/0 is -1"),
        (dataset().map(lambda image, label: {"image": image, "label": label}), "pairs"),
        (dataset().map(lambda image, label: (image, label, 1.0)), "pairs"),
    ],
)
def test_unusable_datasets_are_refused(data, message):
    with pytest.raises(ValueError, match=message):
        reader(data)


def test_other_types_are_refused():
    with pytest.raises(TypeError, match="ndarray"):
        reader(IMAGES)


def test_a_stream_that_changes_its_length_is_refused():
    lengths = iter([5, 6])

    def elements():
        for place in range(next(lengths)):
            yield IMAGES[place], LABELS[place]

    signature = (tf.TensorSpec((10, 8, 3), tf.uint8), tf.TensorSpec((), tf.int64))
    with pytest.raises(ValueError, match="first 5 elements, then 6"):
        reader(tf.data.Dataset.from_generator(elements, output_signature=signature))


def test_labels_outside_the_classes_are_refused():
    with pytest.raises(ValueError, match="label of train/2 is 2"):
        reader(dataset(), classes=["x", "y"])
    with pytest.raises(ValueError, match="'c', which is not in"):
        reader(dataset(labels=np.array(list("abc" * 4))), classes=["a", "b"])
