"""Scanning a folder: every file is used or listed with the reason."""

from __future__ import annotations

import os
import unicodedata

import numpy as np
import pytest
from PIL import Image

from proxy_keras.data.layout import find_images
from proxy_keras.data.scan import scan_folder


def paint(path, shade: int, suffix_kind: str | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4), (shade, 0, 0)).save(path, suffix_kind)


@pytest.fixture
def two_classes(tmp_path):
    root = tmp_path / "photos"
    for shade, name in enumerate(["cat/1.png", "cat/nested/deep/2.png", "dog/1.png", "dog/2.png"]):
        paint(root / name, shade)
    return root


def scan(root, **options):
    return scan_folder(root, progress=False, workers=2, **options)


def places(result):
    return [(record.path, record.label, record.split) for record in result.records]


def test_class_folders_with_nested_ones(two_classes):
    result = scan(two_classes)
    assert places(result) == [
        ("cat/1.png", "cat", None),
        ("cat/nested/deep/2.png", "cat", None),
        ("dog/1.png", "dog", None),
        ("dog/2.png", "dog", None),
    ]
    assert result.skipped == []
    assert result.ignored == []
    assert [r.size_bytes for r in result.records] == [
        (two_classes / r.path).stat().st_size for r in result.records
    ]


def test_the_hash_is_of_the_pixels_not_of_the_file(two_classes):
    Image.open(two_classes / "cat/1.png").save(two_classes / "cat/same.bmp")
    Image.new("RGB", (2, 8), (0, 0, 0)).save(two_classes / "cat/other_shape.png")
    hash_of = {record.path: record.content_hash for record in scan(two_classes).records}
    assert hash_of["cat/same.bmp"] == hash_of["cat/1.png"]
    assert len(set(hash_of.values())) == len(hash_of) - 1


@pytest.mark.parametrize("names", [("train", "test"), ("Train", "valid", "test"), ("train",)])
def test_split_folders(tmp_path, names):
    for name in names:
        paint(tmp_path / name / "cat" / "a.png", 1)
        paint(tmp_path / name / "dog" / "a.png", 2)
    meaning = {"valid": "val", "Train": "train"}
    expected = [(f"{n}/{c}/a.png", c, meaning.get(n, n)) for n in names for c in ("cat", "dog")]
    assert places(scan(tmp_path)) == sorted(expected)


def test_files_next_to_the_splits_are_reported(tmp_path):
    for name in ("train/cat/1.png", "train/dog/1.png", "test/cat/2.png", "test/dog/2.png"):
        paint(tmp_path / name, 1)
    paint(tmp_path / "masks/cat/1.png", 1)
    (tmp_path / "boxes.csv").write_text("a,b")
    (tmp_path / "train/notes.txt").write_text("x")
    paint(tmp_path / "train/loose.png", 5)
    result = scan(tmp_path)
    assert len(result.records) == 4
    assert result.ignored == ["boxes.csv", "masks/", "train/notes.txt"]
    assert [(s.path, s.reason) for s in result.skipped] == [
        ("train/loose.png", "outside the class folders")
    ]


def test_a_class_called_train_is_not_a_split(tmp_path):
    for name in ("bus/1.png", "car/1.png", "train/1.png", "train/steam/2.png"):
        paint(tmp_path / name, 1)
    assert {(r.label, r.split) for r in scan(tmp_path).records} == {
        ("bus", None),
        ("car", None),
        ("train", None),
    }


def test_masks_next_to_class_folders_are_not_a_class(two_classes):
    before = places(scan(two_classes))
    for name in ("masks/cat/1.png", "masks/dog/1.png"):
        paint(two_classes / name, 255)
    result = scan(two_classes)
    assert places(result) == before and result.ignored == ["masks/"]
    # Without folders of the classes, or with other content, `masks` is an ordinary class.
    paint(two_classes / "masks" / "carnival.png", 7)
    assert {label for _, label, _ in places(scan(two_classes))} == {"cat", "dog", "masks"}
    (two_classes / "masks" / "carnival.png").unlink()
    paint(two_classes / "masks" / "venice" / "1.png", 7)
    assert {label for _, label, _ in places(scan(two_classes))} == {"cat", "dog", "masks"}


def test_files_that_are_not_images_are_listed(two_classes):
    (two_classes / "cat/.hidden").write_text("x")
    (two_classes / "cat/empty.jpg").touch()
    (two_classes / "cat/text.jpg").write_text("no image")
    (two_classes / "dog/readme.md").write_text("no image")
    os.mkfifo(two_classes / "dog/pipe.png")
    (two_classes / "dog/dangling.png").symlink_to("nowhere.png")
    (two_classes / "dog/itself.png").symlink_to("itself.png")
    result = scan(two_classes)
    assert len(result.records) == 4
    found = {item.path: item.reason for item in result.skipped}
    itself = found.pop("dog/itself.png")
    assert "link" in itself
    assert found == {
        "cat/empty.jpg": "empty file",
        "cat/text.jpg": "not an image of a known format",
        "dog/dangling.png": "broken link",
        "dog/pipe.png": "not a regular file",
        "dog/readme.md": "not an image of a known format",
    }
    assert result.skipped == sorted(result.skipped, key=lambda item: item.path)


def test_links_to_parent_folders_are_not_followed(two_classes):
    (two_classes / "cat/up").symlink_to(two_classes)
    (two_classes / "cat/here").symlink_to(two_classes / "cat")
    (two_classes / "dog/other").symlink_to(two_classes / "cat/nested")
    result = scan(two_classes)
    assert [item.path for item in result.skipped] == ["cat/here/", "cat/up/"]
    assert "dog/other/deep/2.png" in [record.path for record in result.records]


def paint_all(root, *names) -> None:
    for name in names:
        paint(root / name, 1)


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("train", "test1"),
        ("Training Images", "Test_Images"),
        ("TrainSet", "VALIDATION"),
        ("trainingdata", "testset"),
        ("train2017", "val-2017"),
        ("cars_train", "cars_test"),
    ],
)
def test_split_folders_in_other_spellings(tmp_path, train, test):
    paint_all(tmp_path, *(f"{name}/{c}/a.png" for name in (train, test) for c in ("cat", "dog")))
    split = "val" if test.casefold().startswith("val") else "test"
    expected = [(f"{train}/{c}/a.png", c, "train") for c in ("cat", "dog")]
    expected += [(f"{test}/{c}/a.png", c, split) for c in ("cat", "dog")]
    assert places(scan(tmp_path)) == sorted(expected)


@pytest.mark.parametrize("flat", ["test", "test1", "Testing"])
def test_a_split_without_class_folders_is_not_a_class(tmp_path, flat):
    paint_all(tmp_path, "train/cat/1.png", "train/dog/1.png", f"{flat}/1.png", f"{flat}/2.png")
    result = scan(tmp_path)
    assert [(r.label, r.split) for r in result.records] == [("cat", "train"), ("dog", "train")]
    assert [(s.path, s.reason) for s in result.skipped] == [
        (f"{flat}/{name}.png", "outside the class folders") for name in (1, 2)
    ]


@pytest.mark.parametrize("further", ["unlabelled/1.png", "extra/cat/1.png", "holdout/a/b/1.JPG"])
@pytest.mark.parametrize("split", ["train", "Test1"])
def test_folders_that_could_be_splits_or_classes(tmp_path, split, further):
    paint_all(tmp_path, f"{split}/cat/1.png", f"{split}/dog/1.png", further)
    name = further.split("/")[0]
    with pytest.raises(ValueError, match=f"{split}/ in .* {name}/ beside it is no split"):
        scan(tmp_path)


def test_folders_without_images_beside_train(tmp_path):
    paint_all(tmp_path, "train/cat/1.png", "train/dog/1.png", "masks/cat/1.png")
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations/1.xml").write_text("<a/>")
    result = scan(tmp_path)
    assert [record.split for record in result.records] == ["train", "train"]
    assert result.ignored == ["annotations/", "masks/"]


@pytest.mark.parametrize(
    "names",
    [
        ("train/1.png", "test/1.png"),
        ("train/1.png", "test/cat/1.png", "test/dog/1.png"),
        ("val/cat/1.png", "val/dog/1.png", "test/cat/1.png", "test/dog/1.png"),
    ],
)
def test_splits_without_a_training_split_are_not_classes(tmp_path, names):
    paint_all(tmp_path, *names)
    with pytest.raises(ValueError, match="mean splits, but no training split has class folders"):
        scan(tmp_path)
    labelled = scan(tmp_path, label_fn=lambda path: f"class {len(path) % 2} {path}")
    assert len(labelled.records) == len(names)


def test_splits_below_the_classes_are_not_mixed(tmp_path):
    names = [f"{c}/{s}/1.png" for c in ("cat", "dog") for s in ("train", "test")]
    paint_all(tmp_path, *names)
    with pytest.raises(ValueError, match="below the classes: cat/test/, cat/train/"):
        scan(tmp_path)


@pytest.mark.parametrize(
    "name",
    ["@eaDir", "__MACOSX", ".ipynb_checkpoints", "lost+found", "$RECYCLE.BIN", "#recycle"],
)
def test_folders_that_systems_leave_are_neither_classes_nor_images(two_classes, name):
    before = scan(two_classes)
    for place in ("", "cat", "cat/nested/deep"):
        paint_all(two_classes, f"{place}/{name}/cat/1.png".lstrip("/"))
    (two_classes / "dog/Thumbs.db").write_bytes(b"x")
    (two_classes / "dog/1.png~").write_bytes((two_classes / "cat/1.png").read_bytes())
    (two_classes / "desktop.ini").write_text("x")
    assert scan(two_classes) == before


def test_folders_that_systems_leave_beside_train(tmp_path):
    paint_all(tmp_path, "train/cat/1.png", "train/dog/1.png", "__MACOSX/train/cat/1.png")
    result = scan(tmp_path)
    assert [record.split for record in result.records] == ["train", "train"]
    assert result.ignored == []


def test_label_function(tmp_path):
    for name in ("cat_1.png", "dog_1.png", "more/cat_2.png"):
        paint(tmp_path / name, 1)
    seen = []

    def label_of(path: str) -> str:
        seen.append(path)
        return path.split("/")[-1].split("_")[0]

    assert places(scan(tmp_path, label_fn=label_of)) == [
        ("cat_1.png", "cat", None),
        ("dog_1.png", "dog", None),
        ("more/cat_2.png", "cat", None),
    ]
    assert sorted(seen) == ["cat_1.png", "dog_1.png", "more/cat_2.png"]


def test_label_function_below_split_folders(tmp_path):
    for name in ("train/cat_1.png", "train/dog_1.png", "test/cat_2.png", "masks/cat_1.png"):
        paint(tmp_path / name, 1)
    result = scan(tmp_path, label_fn=lambda path: path.split("/")[1].split("_")[0])
    assert [record.split for record in result.records] == ["test", "train", "train"]
    assert result.ignored == ["masks/"]


def test_label_function_must_return_a_name(two_classes):
    with pytest.raises(TypeError, match="Received None"):
        scan(two_classes, label_fn=lambda path: None)


def test_a_wrong_root_is_explained(tmp_path, two_classes):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        scan(tmp_path / "nowhere")
    with pytest.raises(NotADirectoryError, match="is a file"):
        scan(two_classes / "cat/1.png")
    with pytest.raises(ValueError, match="has only one class, 'nested'"):
        scan(two_classes / "cat")
    (tmp_path / "nothing").mkdir()
    with pytest.raises(ValueError, match="has no class folder"):
        scan(tmp_path / "nothing")
    paint(tmp_path / "flat/a.png", 1)
    with pytest.raises(ValueError, match="1 images are directly in"):
        scan(tmp_path / "flat")
    (tmp_path / "bad/cat").mkdir(parents=True)
    (tmp_path / "bad/dog").mkdir()
    (tmp_path / "bad/cat/a.jpg").touch()
    (tmp_path / "bad/dog/a.jpg").touch()
    with pytest.raises(ValueError, match="None of the 2 files .* 'cat/a.jpg': empty file"):
        scan(tmp_path / "bad")


def test_two_folders_for_one_split(tmp_path):
    for name in ("train", "val", "validation"):
        paint(tmp_path / name / "cat/1.png", 1)
    with pytest.raises(ValueError, match="val, validation .* split 'val'"):
        find_images(tmp_path)


def test_file_names_that_are_not_unicode(two_classes):
    odd = os.fsdecode(b'caf\xe9, "x"\n.png')
    paint(two_classes / "cat" / odd, 9, "PNG")
    assert f"cat/{odd}" in [record.path for record in scan(two_classes).records]


def test_class_names_are_printable_and_in_one_normal_form(two_classes):
    odd, apart = os.fsdecode(b"Mu\xf1oz"), unicodedata.normalize("NFD", "caf\u00e9")
    paint_all(two_classes, f"{apart}/1.png")
    paint(two_classes / odd / "1.png", 9, "PNG")
    (two_classes / os.fsdecode(b"dog/\xe9.txt")).write_text("no image")
    result = scan(two_classes)
    label_of = {record.path: record.label for record in result.records}
    assert label_of[f"{odd}/1.png"] == "Mu%F1oz"
    assert label_of[f"{apart}/1.png"] == "caf\u00e9"
    assert str(result.skipped[0]) == "dog/%E9.txt (not an image of a known format)"


def test_nothing_in_the_folder_is_touched(two_classes):
    def state():
        return {
            path: (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else None)
            for path in two_classes.rglob("*")
        }

    before = state()
    scan(two_classes)
    assert state() == before


def test_results_do_not_depend_on_the_number_of_threads(two_classes):
    rng = np.random.default_rng(0)
    for number in range(40):
        pixels = rng.integers(0, 255, (6, 6, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(two_classes / f"cat/{number}.png")
    one, many = (scan_folder(two_classes, progress=False, workers=n) for n in (1, 8))
    assert one == many
