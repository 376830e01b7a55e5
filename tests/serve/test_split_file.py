"""A run's split.csv selects exactly its held-out images, or raises an error."""

from __future__ import annotations

import hashlib
import unicodedata
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from proxy_keras.data.scan import scan_folder
from proxy_keras.data.split_draw import draw_split
from proxy_keras.data.split_table import SplitTable
from serve.card import ModelCard
from serve.selection import select_split
from serve.split_file import read_split

CARD = ModelCard("m", ("cat", "dog"), (8, 8), "none", None, "fp32", None, None, {})


@pytest.fixture
def root(tmp_path):
    """Two classes of ten images, with a name that CSV must quote and one not in Unicode."""
    rng = np.random.default_rng(0)
    names = ["a,b.png", os_name := b"\xff.png".decode("utf-8", "surrogateescape")]
    assert not os_name.isprintable()
    names += [f"{number}.png" for number in range(8)]
    for label in ("cat", "dog"):
        (tmp_path / "root" / label).mkdir(parents=True)
        for name in names:
            pixels = rng.integers(0, 256, (4, 4, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "root" / label / name)
    return tmp_path / "root"


@pytest.fixture
def run(root, tmp_path):
    """A run folder with the split of `root`."""
    records = scan_folder(root, progress=False).records
    draw_split(records, seed=3, val=0.2, test=0.3).table.save(tmp_path / "run")
    return tmp_path / "run"


@pytest.mark.parametrize("subset", ["test", "val", "train"])
def test_the_images_that_training_put_there(root, run, subset):
    table = SplitTable.load(run)
    expected = {
        (table.paths[row], int(table.class_ids[row])) for row in table.rows(subset).tolist()
    }
    card = replace(CARD, split_sha256=table.sha256)
    for given in (run, run / "split.csv"):
        images = read_split(given, str(root), subset, card)
        assert {(image.name, image.label_id) for image in images} == expected
        assert all(image.path == str(root / image.name) for image in images)
    assert len(expected) == {"test": 6, "val": 4, "train": 10}[subset]


def test_classes_go_by_the_order_of_the_model(root, run):
    there = read_split(run, str(root), "test", CARD)
    back = read_split(run, str(root), "test", replace(CARD, labels=("dog", "cat")))
    assert [image.label_id for image in back] == [1 - image.label_id for image in there]


def test_the_split_of_another_training_is_refused(root, run):
    found = hashlib.sha256((run / "split.csv").read_bytes()).hexdigest()
    with pytest.raises(ValueError, match=f"SHA-256 is {found}, and the model's 1234"):
        read_split(run, str(root), "test", replace(CARD, split_sha256="1234"))


def test_one_changed_letter_makes_it_another(root, run):
    card = replace(CARD, split_sha256=SplitTable.load(run).sha256)
    text = (run / "split.csv").read_bytes()
    (run / "split.csv").write_bytes(text.replace(b'"train"', b'"test"', 1))
    with pytest.raises(ValueError, match="was not trained with the split"):
        read_split(run, str(root), "test", card)


def test_a_copy_may_have_names_in_another_normal_form(tmp_path):
    """As on a Mac: an accent is a character of its own there."""
    name = "Mu\N{LATIN SMALL LETTER N WITH TILDE}oz"
    root, copy = tmp_path / "root", tmp_path / "copy"
    other = unicodedata.normalize("NFD", name)
    for folder, spelled in ((root, name), (copy, other)):
        (folder / spelled).mkdir(parents=True)
        (folder / "cat").mkdir()
        for number in range(6):
            Image.new("RGB", (4, 4), (number, 0, 0)).save(folder / spelled / f"{name}{number}.png")
            Image.new("RGB", (4, 4), (0, number, 9)).save(folder / "cat" / f"{number}.png")
    table = draw_split(scan_folder(root, progress=False).records, seed=3, val=0.2, test=0.4).table
    table.save(tmp_path / "run")
    card = replace(CARD, labels=(name, "cat"))
    there = read_split(tmp_path / "run", str(root), "test", card)
    found = read_split(tmp_path / "run", str(copy), "test", card)
    assert [(image.name, image.label_id) for image in found] == [
        (image.name, image.label_id) for image in there
    ]
    assert {image.label_id for image in found} == {0, 1}
    assert any(other in image.path for image in found)
    assert all(Path(image.path).is_file() for image in found)


def test_missing_images_are_an_error(root, run):
    for label in ("cat", "dog"):
        for file in (root / label).iterdir():
            file.unlink()
    with pytest.raises(FileNotFoundError, match=r"6 of 6 images are not in .*, \.\.\."):
        read_split(run, str(root), "test", CARD)


def test_one_missing_image_is_named(root, run):
    gone = read_split(run, str(root), "test", CARD)[2]
    (root / gone.name).unlink()
    with pytest.raises(FileNotFoundError, match="1 of 6 images are not in") as caught:
        read_split(run, str(root), "test", CARD)
    assert gone.name in str(caught.value)


def table(*rows: str) -> str:
    return "\n".join(("example_id,path,label,split,content_hash", *rows)) + "\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "lacks the columns path, label, split"),
        ("path,label\n", "lacks the columns split"),
        (table("1,cat/0.png,cat,train,x"), "no images in 'test'. It has: train"),
        (table(), "It has: no rows"),
        (table("1,cat/0.png,cow,test,x"), "does not have: cow. The model's classes: cat, dog"),
        (table("1,cat/0.png,cat,test"), "its rows differ in the number of fields"),
        (table("1,cat/0.png,cat,test,x,y"), "its rows differ in the number of fields"),
        (table('1,"cat/0.png"x,cat,test,x'), "is not a valid CSV file"),
        (table("1,../root/cat/0.png,cat,test,x"), "stay inside its folder"),
        (table("1,/cat/0.png,cat,test,x"), "stay inside its folder"),
    ],
)
def test_what_is_no_split_is_refused(root, tmp_path, text, message):
    file = tmp_path / "split.csv"
    file.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_split(file, str(root), "test", CARD)


def test_no_table(root, tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no file .*split.csv"):
        read_split(tmp_path, str(root), "test", CARD)


def test_a_selection_says_what_was_checked(root, run):
    known = replace(CARD, split_sha256=SplitTable.load(run).sha256)
    selection = select_split([str(root)], known, split=run, subset="test")
    assert selection.is_labelled and len(selection.files) == 6
    assert selection.notes == [f"6 images of {root} are in 'test' of {run}"]
    unknown = select_split([str(root)], CARD, split=run, subset="test")
    assert "could not be checked" in unknown.notes[1]
    with pytest.raises(ValueError, match="--split needs one folder"):
        select_split([str(root), str(root)], CARD, split=run, subset="test")
