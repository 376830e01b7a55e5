"""Overlays have the image's size and unique names, and never replace an image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from serve.files import ImageFile
from serve.overlay import overlay
from serve.overlay_files import OverlayFolder, _unique
from serve.stream import Result

HEAT = np.array([[0.0, 1.0]], np.float32)


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "in" / "deep" / "1.png"
    path.parent.mkdir(parents=True)
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (5, 9, 3), np.uint8)).save(path)
    return ImageFile(str(path), "deep/1.png")


def test_the_picture_is_the_overlay_at_the_image_s_size(image, tmp_path):
    folder = OverlayFolder(tmp_path / "out", [image])
    result = folder.write(Result(image, heatmap=HEAT))
    assert result.overlay == str(tmp_path / "out" / "deep" / "1.png")
    with Image.open(result.overlay) as written, Image.open(image.path) as original:
        assert written.format == "PNG"
        assert np.array_equal(np.asarray(written), overlay(np.asarray(original), HEAT))


def test_an_image_that_is_gone_is_reported(image, tmp_path):
    folder = OverlayFolder(tmp_path / "out", [image])
    (tmp_path / "in" / "deep" / "1.png").write_bytes(b"x")
    damaged = folder.write(Result(image, heatmap=HEAT))
    assert (damaged.overlay, damaged.error) == (None, "no overlay: not an image of a known format")
    (tmp_path / "in" / "deep" / "1.png").unlink()
    gone = folder.write(Result(image, heatmap=HEAT))
    assert gone.error == "no overlay: cannot be opened: No such file or directory"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_heatmap_that_is_not_finite_is_reported(value, image, tmp_path):
    heat = np.array([[0.0, value]], np.float32)
    result = OverlayFolder(tmp_path / "out", [image]).write(Result(image, heatmap=heat))
    expected = "no overlay: the model's heatmap is not finite (NaN or infinity)"
    assert (result.overlay, result.error) == (None, expected)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("place", ["in", "in/deep", ".", "in/deep/../../in"])
def test_no_image_can_be_replaced(image, tmp_path, place):
    with pytest.raises(ValueError, match="contains images to read"):
        OverlayFolder(tmp_path / place, [image])


def test_nor_can_the_one_that_an_image_is_a_link_to(image, tmp_path):
    link = tmp_path / "links" / "1.png"
    link.parent.mkdir()
    link.symlink_to(image.path)
    for place in (link.parent, tmp_path / "in" / "deep"):
        with pytest.raises(ValueError, match="contains images to read"):
            OverlayFolder(place, [ImageFile(str(link), "1.png")])


def test_nor_through_a_link(image, tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "in")
    with pytest.raises(ValueError, match="contains images to read"):
        OverlayFolder(tmp_path / "link", [image])
    linked = ImageFile(str(tmp_path / "link" / "deep" / "1.png"), "1.png")
    with pytest.raises(ValueError, match="contains images to read"):
        OverlayFolder(tmp_path / "in", [linked])


def test_a_folder_beside_or_below_the_images_will_do(image, tmp_path):
    for place in ("inside", "in/deep/overlays"):
        result = OverlayFolder(tmp_path / place, [image]).write(Result(image, heatmap=HEAT))
        assert result.overlay == str(tmp_path / place / "deep" / "1.png")


def test_a_file_is_no_folder(image):
    with pytest.raises(NotADirectoryError, match="Give a folder"):
        OverlayFolder(Path(image.path), [])


def test_names_that_would_meet_get_numbers():
    assert _unique(["a/1.jpg", "a/1.png", "b/1.jpg", "A/1.gif", "a/1_2.jpg", "1"]) == [
        "a/1.png",
        "a/1_2.png",
        "b/1.png",
        "A/1_3.png",
        "a/1_2_2.png",
        "1.png",
    ]


@given(st.lists(st.from_regex(r"[aA]/?[12](_[12])?\.(png|jpg)", fullmatch=True), max_size=12))
def test_names_are_unique_in_any_case(names):
    unique = _unique(names)
    assert len({name.casefold() for name in unique}) == len(names)
    assert all(name.endswith(".png") for name in unique)
