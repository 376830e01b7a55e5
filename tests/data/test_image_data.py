"""ImageData from folders, arrays and datasets: the split and the pixels."""

from __future__ import annotations

import csv
import shutil

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from proxy_keras.data import ImageData, SplitTable
from proxy_keras.data.data_split import DataSplit
from proxy_keras.data.images import read_image, resize
from proxy_keras.data.train_split import TrainSplit

SPLITS = ("train", "val", "test")


def some_images(number: int, *shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (number, *shape), dtype=np.uint8)


IMAGES = some_images(60, 8, 8, 3)
LABELS = np.arange(60) % 3


def read(subset: DataSplit) -> tuple[np.ndarray, np.ndarray]:
    """The subset's images, as read, and labels, in its order."""
    found = list(subset.originals(7).as_numpy_iterator())
    order = np.argsort(np.concatenate([positions for positions, _, _ in found]))
    return tuple(np.concatenate([batch[part] for batch in found])[order] for part in (1, 2))


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "photos"
    for number, (image, label) in enumerate(zip(IMAGES, LABELS, strict=True)):
        path = root / f"class_{label}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    return root


def from_folder(root, **options) -> ImageData:
    return ImageData.from_folder(root, **{"image_size": 8, "progress": False} | options)


def test_folder(folder):
    data = from_folder(folder, val=0.2, test=0.25)
    assert data.classes == ["class_0", "class_1", "class_2"]
    assert data.num_classes == 3
    assert data.image_size == 8
    assert [len(getattr(data, split)) for split in SPLITS] == [33, 12, 15]
    assert isinstance(data.train, TrainSplit)
    for split in SPLITS:
        subset = getattr(data, split)
        assert subset.name == split
        assert subset.example_ids == data.table.ids(split)
        images, labels = read(subset)
        rows = data.table.rows(split)
        paths = [data.table.paths[row] for row in rows]
        assert np.array_equal(images, np.stack([read_image(folder / path) for path in paths]))
        assert [f"class_{label}" for label in labels] == [path.split("/")[0] for path in paths]


def lose_class_2(folder) -> None:
    """Convert all images of a class to a format that cannot be read."""
    for path in (folder / "class_2").iterdir():
        path.write_bytes(b"ftypheic")
        path.rename(path.with_suffix(".heic"))


def test_a_class_that_loses_all_its_images_is_named(folder):
    lose_class_2(folder)
    with pytest.raises(ValueError, match="'class_2' has no usable image: 20 skipped.*heic.*known"):
        from_folder(folder)
    data = from_folder(folder, allow_missing_classes=True)
    assert data.classes == ["class_0", "class_1"]
    assert "Classes without a usable image: 1: class_2." in data.describe()
    assert {item.label for item in data.skipped} == {"class_2"}
    # A saved split says that the class was left out on purpose.
    data.save(folder.parent / "split")
    assert from_folder(folder, split_dir=folder.parent / "split").classes == data.classes


def test_an_empty_class_folder_is_named(folder):
    (folder / "class_3" / "nested").mkdir(parents=True)
    with pytest.raises(ValueError, match=r"'class_3' has no usable .* class_3/ \(no files\)"):
        from_folder(folder)
    assert from_folder(folder, allow_missing_classes=True).num_classes == 3


def test_several_lost_classes_are_named(folder):
    lose_class_2(folder)
    for path in (folder / "class_1").iterdir():
        path.write_bytes(b"")
    with pytest.raises(ValueError, match=r"'class_1' \(and of 1 more: class_2\).*empty file"):
        from_folder(folder)


def test_a_class_of_a_dataset_that_loses_all_its_images_is_named():
    def encode(image, label):
        return tf.cond(
            label == 1, lambda: tf.constant(b"?"), lambda: tf.io.encode_png(image)
        ), label

    pairs = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).map(encode)
    with pytest.raises(ValueError, match="Class '1' has no usable image: 20 skipped"):
        ImageData.from_dataset(pairs, image_size=8, progress=False)
    data = ImageData.from_dataset(pairs, image_size=8, progress=False, allow_missing_classes=True)
    assert data.classes == ["0", "2"]


def test_arrays_and_folder_agree(folder):
    from_files = from_folder(folder)
    names = [f"class_{label}" for label in range(3)]
    data = ImageData.from_arrays(IMAGES, LABELS, classes=names, progress=False)
    assert data.table.example_ids == from_files.table.example_ids
    assert data.table.splits == from_files.table.splits
    for split in SPLITS:
        for ours, theirs in zip(
            read(getattr(data, split)), read(getattr(from_files, split)), strict=True
        ):
            assert np.array_equal(ours, theirs)


def test_dataset_and_arrays_agree():
    arrays = ImageData.from_arrays(IMAGES, LABELS, progress=False)
    pairs = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS))
    data = ImageData.from_dataset(pairs, image_size=8, progress=False)
    assert data.table.example_ids == arrays.table.example_ids
    assert data.table.splits == arrays.table.splits
    for split in SPLITS:
        images, labels = read(getattr(data, split))
        expected_images, expected_labels = read(getattr(arrays, split))
        assert np.array_equal(images, expected_images)
        assert np.array_equal(labels, expected_labels)


def test_arrays_with_their_own_test_split():
    test_images = some_images(9, 4, 4, seed=1)
    data = ImageData.from_arrays(
        IMAGES, LABELS, test_images=test_images, test_labels=np.arange(9) % 3, progress=False
    )
    assert len(data.test) == 9
    assert len(data.train) + len(data.val) == 60
    images, labels = read(data.test)
    row_of = {path: row for row, path in enumerate(f"test_images/{i}" for i in range(9))}
    rows = [row_of[data.table.paths[row]] for row in data.table.rows("test")]
    grey = np.repeat(test_images[rows][..., None], 3, -1)
    assert np.array_equal(images, np.stack([resize(image, 8) for image in grey]))
    assert np.array_equal(labels, np.array(rows) % 3)


def test_datasets_for_every_split():
    parts = {
        split: tf.data.Dataset.from_tensor_slices(
            (some_images(n, 8, 8, 3, seed=n), np.arange(n) % 3)
        )
        for split, n in (("train", 20), ("val", 6), ("test", 9))
    }
    data = ImageData.from_dataset(**parts, image_size=8, progress=False, classes=list("xyz"))
    for split, n in (("train", 20), ("val", 6), ("test", 9)):
        subset = getattr(data, split)
        images, labels = read(subset)
        places = [int(data.table.paths[row].split("/")[1]) for row in data.table.rows(split)]
        assert sorted(places) == list(range(n))
        assert np.array_equal(images, some_images(n, 8, 8, 3, seed=n)[places])
        assert np.array_equal(labels, np.array(places) % 3)


def test_class_ids_keep_the_order_of_numbers_and_of_given_names():
    labels = np.where(LABELS == 2, 10, LABELS + 1)
    data = ImageData.from_arrays(IMAGES, labels, progress=False)
    assert data.classes == ["1", "2", "10"]
    # Names that look like other class ids are still names.
    data = ImageData.from_arrays(IMAGES, LABELS, classes=["2", "1", "0"], progress=False)
    image_of = {IMAGES[row].tobytes(): LABELS[row] for row in range(60)}
    images, class_ids = read(data.train)
    expected = [image_of[image.astype(np.uint8).tobytes()] for image in images]
    assert class_ids.tolist() == expected


def test_training_batches_hold_each_training_image_once():
    data = ImageData.from_arrays(IMAGES, LABELS, progress=False)
    batches = list(data.train.batches(16).as_numpy_iterator())
    images = np.concatenate([images for images, _ in batches]).astype(np.uint8)
    expected, _ = read(data.train)
    assert sorted(i.tobytes() for i in images) == sorted(
        i.tobytes() for i in expected.astype(np.uint8)
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"labels": LABELS[:-1]}, r"one integer or string per image, \[60\]"),
        ({"labels": np.eye(3)[LABELS]}, r"labels.argmax\(axis=1\)"),
        ({"labels": LABELS / 2}, "integers or strings"),
        ({"classes": ["a", "b"]}, r"must be in \[0, 2\)"),
        ({"classes": ["a", "b", "b"]}, "must be unique"),
        ({"labels": np.array(list("abc"))[LABELS], "classes": ["a", "b"]}, "not among.*'c'"),
        ({"images": IMAGES / 255}, r"must be uint8"),
        ({"images": IMAGES[:, :6]}, "6 x 8, not square"),
        ({"image_size": 4}, "`image_size` must be >= 8"),
        ({"test_images": IMAGES}, "`test_images` and `test_labels` together"),
        ({"boxes": np.zeros((59, 4))}, "Pass boxes for every image"),
    ],
)
def test_arrays_that_do_not_match_are_refused(arguments, message):
    arguments = {"images": IMAGES, "labels": LABELS, "progress": False} | arguments
    with pytest.raises(ValueError, match=message):
        ImageData.from_arrays(**arguments)


def test_boxes_match_their_examples_and_scale_with_the_images():
    boxes = np.stack([LABELS, LABELS, LABELS + 4, LABELS + 2], axis=1)
    data = ImageData.from_arrays(IMAGES, LABELS, boxes=boxes, image_size=16, progress=False)
    assert data.boxes is not None
    assert data.boxes.keys() == set(data.table.example_ids)
    for id_, label in zip(data.table.example_ids, data.table.labels, strict=True):
        k = int(label)
        assert data.boxes[id_] == (2 * k, 2 * k, 2 * k + 8, 2 * k + 4)
    assert ImageData.from_arrays(IMAGES, LABELS, progress=False).boxes is None


def test_a_saved_split_is_used_for_renamed_files(folder, tmp_path):
    data = from_folder(folder, seed=3)
    data.save(tmp_path / "run")
    moved = tmp_path / "moved"
    shutil.copytree(folder, moved)
    for number, path in enumerate(sorted(moved.rglob("*.png"))):
        path.rename(path.with_name(f"renamed_{(number * 7) % 60}.png"))
    # Another seed would give another split, if it were drawn.
    again = from_folder(moved, seed=4, split_dir=tmp_path / "run")
    assert again.table.example_ids == data.table.example_ids
    assert again.table.splits == data.table.splits
    for split in SPLITS:
        assert np.array_equal(read(getattr(again, split))[0], read(getattr(data, split))[0])
    assert data.split_sha256 == from_folder(folder, split_dir=tmp_path / "run").split_sha256
    assert data.split_sha256 == (tmp_path / "run/split.sha256").read_text().strip()

    next(moved.rglob("*.png")).unlink()
    with pytest.raises(ValueError, match="no longer match the saved split: 1 missing"):
        from_folder(moved, split_dir=tmp_path / "run")


def test_unusable_files_are_listed_saved_and_described(folder, tmp_path):
    (folder / "class_1/empty.jpg").touch()
    (folder / "class_2/note, old.txt").write_text("no image")
    data = from_folder(folder)
    data.save(tmp_path / "run")
    with (tmp_path / "run/skipped.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [
            ["path", "reason"],
            ["class_1/empty.jpg", "empty file"],
            ["class_2/note, old.txt", "not an image of a known format"],
        ]
    assert "see skipped.csv: 2: class_1/empty.jpg (empty file)" in data.describe()
    with pytest.raises(ValueError, match=r"2 images cannot be used: class_1/empty.jpg \(empty"):
        from_folder(folder, strict=True)


def test_describe_counts():
    repeated = np.concatenate([IMAGES, IMAGES[:1]])
    labels = np.append(LABELS, 1)
    data = ImageData.from_arrays(repeated, labels, classes=["a", "b", "c", "d"], progress=False)
    text = data.describe()
    assert "61 images of 4 classes at 8 px" in text
    assert f"train {len(data.train)}, val {len(data.val)}, test {len(data.test)}" in text
    assert "Same picture under different labels: 1: images/0 = images/60" in text
    assert "Classes without a train image: 1: d" in text
    assert data.split_sha256[:16] in text


def test_copies_of_test_images_do_not_stay_in_train():
    data = ImageData.from_arrays(
        IMAGES, LABELS, test_images=IMAGES[:3], test_labels=LABELS[:3], progress=False
    )
    assert [item.path for item in data.skipped] == ["images/0", "images/1", "images/2"]
    assert len(data.table) == 60
    with pytest.raises(ValueError, match="3 images cannot be used"):
        ImageData.from_arrays(
            IMAGES,
            LABELS,
            test_images=IMAGES[:3],
            test_labels=LABELS[:3],
            strict=True,
            progress=False,
        )


@pytest.mark.parametrize("kind", ["folder", "arrays", "dataset"])
def test_the_shortcut_does_not_depend_on_the_source(folder, kind):
    if kind == "folder":
        data = from_folder(folder, shortcut=0.5)
    elif kind == "arrays":
        data = ImageData.from_arrays(IMAGES, LABELS, shortcut=0.5, progress=False)
    else:
        pairs = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS))
        data = ImageData.from_dataset(pairs, image_size=8, shortcut=0.5, progress=False)
    plain = ImageData.from_arrays(IMAGES, LABELS, progress=False)
    reference = ImageData.from_arrays(IMAGES, LABELS, shortcut=0.5, progress=False)
    for split in SPLITS:
        images, _ = read(getattr(data, split))
        assert np.array_equal(images, read(getattr(reference, split))[0])
        unchanged, _ = read(getattr(plain, split))
        assert np.array_equal(images[:, 2:], unchanged[:, 2:])
        assert set(np.unique(images[:, :2, :2])) <= {0, 128, 255}


def test_folds_share_their_test_split():
    folds = [
        ImageData.from_arrays(IMAGES, LABELS, folds=4, fold=i, progress=False) for i in range(4)
    ]
    assert len({tuple(data.test.example_ids) for data in folds}) == 1
    validated = [id_ for data in folds for id_ in data.val.example_ids]
    assert sorted(validated) == sorted(folds[0].train.example_ids + folds[0].val.example_ids)


def test_nothing_in_the_folder_is_touched(folder, tmp_path):
    def state():
        return {
            path: (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else None)
            for path in [folder, *folder.rglob("*")]
        }

    before = state()
    data = from_folder(folder)
    data.save(tmp_path / "run")
    for subset in (data.train, data.val, data.test):
        read(subset)
    assert state() == before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "sizes", "classes"),
    [("asl_digits", (1402, 249, 411), 10), ("imagewoof_sub", (1700, 300, 600), 10)],
)
def test_real_photographs(shared_data, name, sizes, classes):
    data = from_folder(shared_data / name, image_size=64, strict=True)
    assert data.num_classes == classes
    assert tuple(len(getattr(data, split)) for split in SPLITS) == sizes
    images, labels = next(data.test.batches(32).as_numpy_iterator())
    assert images.shape == (32, 64, 64, 3)
    assert images.max() > 200
    assert set(labels) <= set(range(classes))


def test_real_photographs_with_masks(shared_data):
    data = from_folder(shared_data / "pets3_masks", image_size=32)
    assert data.classes == ["Abyssinian", "Bengal", "american_bulldog"]
    assert len(data.table) == 598
    assert "masks/" in data.describe()
    assert SplitTable.rows(data.table, "test").size == 298


def test_all_images_are_one_subset(folder):
    data = from_folder(folder)
    everything = data.all_images()
    assert everything.name == "all"
    assert everything.example_ids == list(data.table.example_ids)
    images, labels = read(everything)
    assert labels.tolist() == data.table.class_ids.tolist()
    of_test, _ = read(data.test)
    places = data.table.rows("test")
    np.testing.assert_array_equal(images[places], of_test)


def test_given_splits_are_recorded(tmp_path):
    drawn = ImageData.from_arrays(IMAGES, LABELS, progress=False)
    given = ImageData.from_arrays(
        IMAGES[:45],
        LABELS[:45],
        test_images=IMAGES[45:],
        test_labels=LABELS[45:],
        progress=False,
    )
    assert drawn.given_splits == frozenset()
    assert given.given_splits == {"train", "test"}
    given.save(tmp_path)
    again = ImageData.from_arrays(
        IMAGES[:45],
        LABELS[:45],
        test_images=IMAGES[45:],
        test_labels=LABELS[45:],
        split_dir=tmp_path,
        progress=False,
    )
    assert again.given_splits == {"train", "test"}


def test_separate_streams_are_not_read_as_one():
    def stream(start, stop):
        return tf.data.Dataset.from_tensor_slices((IMAGES[start:stop], LABELS[start:stop]))

    data = ImageData.from_dataset(stream(0, 45), test=stream(45, 60), image_size=8, progress=False)
    with pytest.raises(ValueError, match="separate streams"):
        data.all_images()
