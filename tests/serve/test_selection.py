"""Folders give classes only if named like them, and skipped files are reported."""

from __future__ import annotations

import json
import unicodedata

import pytest

from serve.card import ModelCard
from serve.selection import select


def card(*labels: str) -> ModelCard:
    return ModelCard.from_metadata(
        {
            "format_version": "1",
            "name": "m",
            "labels": json.dumps(labels),
            "image_size": "[8, 8]",
            "resize_rule": "stretch_bilinear_antialiased",
            "value_range": "[0, 255]",
            "explain": "none",
            "precision": "fp32",
            "versions": "{}",
        },
        path="m.onnx",
    )


CARD = card("dog", "cat", "fox")


@pytest.fixture
def root(tmp_path):
    for name in ("cat/2.png", "cat/deep/1.png", "dog/1.png"):
        add(tmp_path / "root" / name)
    return tmp_path / "root"


def add(path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")


def labels_of(selection) -> dict[str, int | None]:
    return {file.name: file.label_id for file in selection.files}


def test_class_folders_are_recognised(root):
    selection = select([str(root)], CARD, labelled=None)
    assert selection.is_labelled
    assert labels_of(selection) == {"cat/2.png": 1, "cat/deep/1.png": 1, "dog/1.png": 0}
    assert selection.notes == [
        f"{root} is read as ROOT/CLASS/*, with 2 of the model's 3 classes: cat, dog"
    ]


def test_names_of_folders_may_be_in_another_normal_form(root):
    name = "\N{LATIN SMALL LETTER N WITH TILDE}u"
    add(root / unicodedata.normalize("NFD", name) / "1.png")
    add(root / "@eaDir" / "1.png")
    chosen = select([str(root)], card("dog", "cat", name), labelled=None)
    assert chosen.is_labelled and sorted(file.label_id for file in chosen.files) == [0, 1, 1, 2]


def test_it_can_be_forbidden(root):
    selection = select([str(root)], CARD, labelled=False)
    assert not selection.is_labelled and selection.notes == []
    assert labels_of(selection) == {"cat/2.png": None, "cat/deep/1.png": None, "dog/1.png": None}


def test_another_folder_beside_them_makes_it_undecided(root):
    add(root / "masks" / "1.png")
    add(root / "loose.png")
    add(root / "readme.md")
    selection = select([str(root)], CARD, labelled=None)
    assert not selection.is_labelled
    assert len(selection.files) == 5 and set(labels_of(selection).values()) == {None}
    assert selection.notes == [
        f"{root} is not read as ROOT/CLASS/*: 1 of 3 sub-folders not named like one class: masks; "
        "1 images outside the sub-folders. --labelled skips those and scores the rest",
        "skipped, suffix not of an image: .md (1)",
    ]


def test_loose_images_alone_make_it_undecided(root):
    add(root / "loose.png")
    assert not select([str(root)], CARD, labelled=None).is_labelled


def test_it_can_be_forced(root):
    add(root / "masks" / "1.png")
    (root / "masks" / "2.png").symlink_to(root / "nowhere")
    (root / "dog" / "2.png").symlink_to(root / "nowhere")
    add(root / "loose.png")
    selection = select([str(root)], CARD, labelled=True)
    assert labels_of(selection) == {"cat/2.png": 1, "cat/deep/1.png": 1, "dog/1.png": 0}
    assert [bad.path for bad in selection.bad] == [str(root / "dog" / "2.png")]
    assert selection.notes[1:] == [
        "skipped, not named like one class: masks",
        "skipped, outside the class folders: 1 images",
    ]


def test_forcing_needs_one_folder_with_classes(root):
    with pytest.raises(ValueError, match="one folder, ROOT/CLASS/"):
        select([str(root), str(root)], CARD, labelled=True)
    with pytest.raises(ValueError, match="one folder, ROOT/CLASS/"):
        select([str(root / "dog" / "1.png")], CARD, labelled=True)
    with pytest.raises(ValueError, match=r"\(dog, cat, fox\). Its sub-folders: deep"):
        select([str(root / "cat")], CARD, labelled=True)


def test_a_name_that_two_classes_share_tells_neither(root):
    twins = card("dog", "cat", "cat")
    selection = select([str(root)], twins, labelled=None)
    assert not selection.is_labelled and "cat" in selection.notes[0]
    forced = select([str(root)], twins, labelled=True)
    assert labels_of(forced) == {"dog/1.png": 0}


def test_folders_without_a_class_are_plain_folders(root):
    selection = select([str(root / "cat")], CARD, labelled=None)
    assert not selection.is_labelled and selection.notes == []
    assert labels_of(selection) == {"2.png": None, "deep/1.png": None}


def test_several_arguments_are_never_labelled(root):
    selection = select([str(root / "cat"), str(root / "dog")], CARD, labelled=None)
    assert not selection.is_labelled and len(selection.files) == 3


def test_long_lists_are_cut(tmp_path):
    for number in range(12):
        add(tmp_path / f"other {number:02}" / "1.png")
    add(tmp_path / "dog" / "1.png")
    (note,) = select([str(tmp_path)], CARD, labelled=None).notes
    assert "other 07, ... (12 in total)" in note and "other 08" not in note
