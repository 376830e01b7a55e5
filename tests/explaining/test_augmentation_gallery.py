"""The sheet of augmentations: its labels, its images, the command."""

from __future__ import annotations

import importlib
import runpy
import sys

import keras
import numpy as np
import pytest
from PIL import Image

from proxy_keras import ImageData
from proxy_keras.explaining import augmentation_gallery


@pytest.mark.parametrize(
    ("shares", "text"),
    [
        ([1.0, 0.0, 0.0, 0.0, 0.0], "a"),
        ([0.004, 0.996, 0.0, 0.0, 0.0], "\\$b\\$"),
        ([0.25, 0.75, 0.0, 0.0, 0.0], "\\$b\\$ 75%\na 25%"),
        ([0.4, 0.3, 0.15, 0.1, 0.05], "a 40%\n\\$b\\$ 30%\na long name ind… 15%\nothers 15%"),
        ([0.96, 0.01, 0.01, 0.01, 0.01], "a 96%\nothers 4%"),
    ],
)
def test_labels_are_printed_as_shares(shares, text):
    names = ["a", "$b$", "a long name indeed", "d", "e"]
    assert augmentation_gallery.label_text(np.array(shares, np.float32), names) == text


def test_images_cycle_through_the_classes():
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), np.uint8)
    data = ImageData.from_arrays(images, np.sort(np.arange(40) % 4), progress=False).train
    chosen, labels = augmentation_gallery.first_images(data, 6)
    assert chosen.shape == (6, 8, 8, 3)
    assert sorted(labels.sum(axis=0)) == [1, 1, 2, 2]
    assert len({image.tobytes() for image in chosen}) == 6


def test_a_sheet_has_a_row_for_each_augmentation():
    row = (np.zeros([3, 8, 8, 3], np.float32), np.eye(3, dtype=np.float32))
    figure = augmentation_gallery.draw_sheet({name: row for name in "abcd"}, ["x", "y", "z"])
    assert len(figure.subfigs) == 1 and len(figure.subfigs[0].axes) == 12
    long = augmentation_gallery.draw_sheet(
        {str(number): row for number in range(15)}, ["x", "y", "z"]
    )
    assert [len(part.axes) for part in long.subfigs] == [24, 24]


def test_the_command_draws_and_prints_what_it_leaves_out(tmp_path, capsys, monkeypatch):
    out = tmp_path / "new" / "sheet.png"
    monkeypatch.setattr(
        augmentation_gallery, "augmentations", lambda: ("curriculum", "cutmix", "visual_context")
    )
    command = ["gallery", "--data", "digits", "--columns", "3", "--out", str(out)]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit) as end:
        runpy.run_module("proxy_keras.augment.gallery", run_name="__main__")
    assert end.value.code == 0
    printed = capsys.readouterr().out
    assert "skipped curriculum: " in printed
    assert "skipped visual_context: it needs heatmaps" in printed
    assert "1 augmentations of 3 images" in printed
    with Image.open(out) as picture:
        assert picture.size[0] > 300


def test_a_trained_model_gives_heatmaps_and_options_are_kept(tmp_path, capsys):
    inputs = keras.Input((16, 16, 3))
    features = keras.layers.Conv2D(4, 3, activation="relu")(inputs)
    outputs = keras.layers.Dense(10)(keras.layers.GlobalAveragePooling2D()(features))
    keras.Model(inputs, outputs).save(tmp_path / "model.keras")
    rows = ["visual_context:places=2", "curriculum:of=cutout,size=0.2"]
    command = ["--data", "digits", "--columns", "2", "--out", str(tmp_path / "sheet.png")]
    command += [part for row in rows for part in ("--aug", row)]
    assert augmentation_gallery.main([*command, "--maps", str(tmp_path / "model.keras")]) == 0
    assert "2 augmentations of 2 images" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--columns", "1"], "`--columns` must be >= 2"),
        (["--aug", "cutmux"], "no augmentation 'cutmux'"),
        (["--maps", "nowhere.keras"], "nowhere.keras does not exist"),
    ],
)
def test_bad_arguments_are_reported(tmp_path, capsys, options, message):
    assert (
        augmentation_gallery.main(["--data", "digits", "--out", str(tmp_path / "a.png"), *options])
        == 2
    )
    assert message in capsys.readouterr().err


def test_the_command_cannot_be_imported():
    with pytest.raises(ImportError, match="is a command"):
        importlib.import_module("proxy_keras.augment.gallery")
