"""Every kind of source has its natural image size, or a clear error."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from proxy_keras.data import ImageData, load_source

ARRAYS = {
    "x_train": np.random.default_rng(0).integers(0, 256, (40, 9, 9, 3), dtype=np.uint8),
    "y_train": np.arange(40) % 2,
    "x_test": np.random.default_rng(1).integers(0, 256, (10, 9, 9, 3), dtype=np.uint8),
    "y_test": np.arange(10) % 2,
    "classes": np.array(["shoe", "bag"]),
}


def load(src, **options) -> ImageData:
    return load_source(str(src), progress=False, **options)


def first_batch(data: ImageData) -> np.ndarray:
    return next(data.val.batches(8).as_numpy_iterator())[0]


def test_digits():
    data = load("digits")
    assert data.classes == list("0123456789")
    assert len(data.table) == 1797
    images = first_batch(data)
    assert images.shape == (8, 32, 32, 3)
    assert images.max() == 255
    assert load("digits", image_size=16).image_size == 16


def test_decoy_digits():
    data = load("decoy_digits")
    assert (len(data.table), len(data.test)) == (1797, 359)
    assert data.boxes is not None
    assert data.boxes.keys() == set(data.table.example_ids)
    assert first_batch(data).shape == (8, 32, 32, 3)


def test_decoy_digits_have_the_boxes_of_the_digits():
    data = load("decoy_digits")
    images, _ = next(data.test.batches(359).as_numpy_iterator())
    brighter = 0
    for image, id_ in zip(images, data.test.example_ids, strict=True):
        x0, y0, x1, y1 = data.boxes[id_]
        inside = image[y0:y1, x0:x1].mean()
        brighter += inside > (image.sum() - inside * 3 * (x1 - x0) * (y1 - y0)) / image.size
    assert brighter / len(images) > 0.95


def test_clutter_digits_lack_the_decoys_and_nothing_else():
    split = {name: load(name) for name in ("decoy_digits", "clutter_digits")}
    assert split["clutter_digits"].planted is None
    images = {}
    for name, data in split.items():
        path_of = dict(zip(data.table.example_ids, data.table.paths, strict=True))
        _, read, _ = next(data.test.originals(359).as_numpy_iterator())
        images |= {
            (name, path_of[id_]): x for id_, x in zip(data.test.example_ids, read, strict=True)
        }
    data = split["decoy_digits"]
    path_of = dict(zip(data.table.example_ids, data.table.paths, strict=True))
    for id_ in data.test.example_ids:
        different = images["decoy_digits", path_of[id_]] != images["clutter_digits", path_of[id_]]
        ((x0, y0, x1, y1),) = data.planted[id_]
        assert different[y0:y1, x0:x1].any()
        different[y0:y1, x0:x1] = False
        assert not different.any()


def test_npz(tmp_path):
    np.savez(tmp_path / "data.npz", **ARRAYS)
    data = load(f"npz:{tmp_path / 'data.npz'}")
    assert data.classes == ["shoe", "bag"]
    assert data.image_size == 9
    assert len(data.test) == 10
    assert first_batch(data).shape[1:] == (9, 9, 3)
    assert load(f"npz:{tmp_path / 'data.npz'}", image_size=16).image_size == 16


def test_npz_with_boxes(tmp_path):
    boxes = {
        f"boxes_{part}": np.tile([1, 2, 4, 6], (len(ARRAYS[f"x_{part}"]), 1))
        for part in ("train", "test")
    }
    np.savez(tmp_path / "data.npz", **ARRAYS, **boxes)
    data = load(f"npz:{tmp_path / 'data.npz'}", image_size=18)
    assert set(data.test.boxes.values()) == set(data.train.boxes.values()) == {(2, 4, 8, 12)}
    np.savez(tmp_path / "data.npz", **ARRAYS, boxes_train=boxes["boxes_train"])
    with pytest.raises(ValueError, match="Pass boxes for every image"):
        load(f"npz:{tmp_path / 'data.npz'}")


def test_npz_without_test_split_and_names(tmp_path):
    np.savez(tmp_path / "data.npz", x_train=ARRAYS["x_train"], y_train=ARRAYS["y_train"])
    data = load(f"npz:{tmp_path / 'data.npz'}")
    assert data.classes == ["0", "1"]
    assert len(data.test) > 0 and len(data.train) + len(data.val) + len(data.test) == 40


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y_train": None}, "lacks y_train; it has x_train, x_test, y_test, classes"),
        ({"y_test": None}, "`test_images` and `test_labels` together"),
        ({"x_train": ARRAYS["x_train"] / 255}, r"`images` must be uint8.*\* 255"),
        ({"x_test": ARRAYS["x_test"][0]}, "`test_images` must have|labels of `test_images`"),
        ({"y_train": np.arange(39) % 2}, r"per image, \[40\]"),
        ({"classes": np.array(["shoe"])}, r"must be in \[0, 1\)"),
        ({"classes": np.array(["shoe", {}], object)}, "allow_pickle"),
    ],
)
def test_npz_with_other_content_is_refused(tmp_path, change, message):
    arrays = {key: value for key, value in (ARRAYS | change).items() if value is not None}
    np.savez(tmp_path / "data.npz", **arrays)
    with pytest.raises(ValueError, match=message):
        load(f"npz:{tmp_path / 'data.npz'}")


def test_files_that_are_not_npz_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere.npz. does not exist.*x_train"):
        load(f"npz:{tmp_path / 'nowhere.npz'}")
    np.save(tmp_path / "single.npy", np.zeros(3))
    with pytest.raises(ValueError, match="not an .npz archive"):
        load(f"npz:{tmp_path / 'single.npy'}")
    np.savez(tmp_path / "data.npz", **ARRAYS)
    content = (tmp_path / "data.npz").read_bytes()
    flipped = content[:5000] + b"?" + content[5001:]
    for name, part in (("cut", content[:-100]), ("text", b"no"), ("0", b""), ("flip", flipped)):
        (tmp_path / f"{name}.npz").write_bytes(part)
        with pytest.raises(ValueError, match="not an .npz archive or is damaged"):
            load(f"npz:{tmp_path / name}.npz")


def test_folder(tmp_path):
    for number, image in enumerate(ARRAYS["x_train"]):
        path = tmp_path / f"class_{number % 2}" / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(image).save(path)
    data = load(tmp_path)
    assert data.image_size == 224
    assert len(data.table) == 40
    assert load(tmp_path, image_size=32, seed=5).seed == 5


def test_options_reach_the_data():
    data = load("digits", seed=2, val=0.2, test=0.1, shortcut=1.0)
    assert [len(data.val), len(data.test)] == pytest.approx([359, 180], abs=6)
    patches = first_batch(data)[:, :5, :5]
    assert (patches == patches[:, :1, :1, :1]).all()
    folds = load("digits", folds=5, fold=1)
    assert folds.table.folds is not None
    assert ImageData.from_source("digits", seed=2, progress=False).seed == 2


@pytest.mark.parametrize("src", ["nowhere", "npz:", "tfds:", "zip:x"])
def test_an_unknown_source_lists_the_known_ones(src):
    with pytest.raises(
        ValueError, match="Unknown source.*digits; decoy_digits.*npz:FILE; tfds:NAME"
    ):
        load(src)


@pytest.mark.parametrize(
    ("name", "total", "image_size"), [("cifar100_sub", 19998, 32), ("fashion_mnist", 70000, 28)]
)
def test_real_archives(shared_data, name, total, image_size):
    data = load(f"npz:{shared_data / name}.npz")
    assert len(data.table) == total
    assert data.image_size == image_size
