"""Boxes become pixels of the stretched image; errors in a table name the line."""

import os

import numpy as np
import pytest
from PIL import Image

from proxy_keras.objects.box_table import BoxTable, pixels_of_boxes


@pytest.fixture
def table(tmp_path):
    """Return a function that opens a table with the given lines."""

    def write(*lines):
        file = tmp_path / "boxes.csv"
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return BoxTable(file)

    return write


@pytest.fixture
def image(tmp_path):
    """Return an image file of 40 x 20 pixels (width, height)."""
    file = tmp_path / "image.png"
    Image.new("RGB", (40, 20)).save(file)
    return file


def test_first_and_last_pixels_are_inside_and_sides_are_stretched_apart(table, image):
    known = table("file,x0,y0,x1,y1", "a/1.png,0,0,39,19", "a/2.png,10,5,19,9")
    assert known.mask("a/1.png", image, 20).all()
    expected = np.zeros((20, 20), bool)
    expected[5:10, 5:10] = True
    np.testing.assert_array_equal(known.mask("a/2.png", image, 20), expected)
    # Enlarged: four times as high as the file, twice as wide.
    np.testing.assert_array_equal(
        known.mask("a/2.png", image, 80), np.kron(expected, np.ones((4, 4), bool))
    )
    assert known.has("a/2.png") and not known.has("2.png") and len(known) == 2


def test_files_are_found_in_another_unicode_normal_form(table, image):
    known = table("file,x0,y0,x1,y1", "caf\u00e9/1.png,0,0,39,19", "Mu%F1oz.png,0,0,39,19")
    for path in ("caf\u00e9/1.png", "cafe\u0301/1.png", os.fsdecode(b"Mu\xf1oz.png")):
        assert known.has(path) and known.mask(path, image, 20).all()


def test_several_rows_of_a_file_are_taken_together(table, image):
    known = table("file,x0,y0,x1,y1", "a,0,0,3,1", "b,0,0,0,0", "a,36,18,39,19")
    found = known.mask("a", image, 20)
    assert found[:2, :2].all() and found[-2:, -2:].all() and found.sum() == 8 and len(known) == 2


def test_width_and_height_are_of_what_the_boxes_refer_to(table, tmp_path):
    known = table("width,file,height,x0,y0,x1,y1,note", "400,a,200,100,50,199,99,anything")
    found = known.mask("a", tmp_path / "not opened", 20)
    assert found[5:10, 5:10].all() and found.sum() == 25


def test_a_byte_order_mark_is_no_part_of_a_name(table, image):
    assert table("\ufefffile,x0,y0,x1,y1", "a,0,0,39,19").mask("a", image, 4).all()


def test_a_box_smaller_than_a_pixel_takes_the_pixel_of_its_middle(table, image):
    known = table("file,x0,y0,x1,y1", "a,39,0,39,0")
    found = known.mask("a", image, 4)
    assert found[0, 3] and found.sum() == 1


def test_boxes_of_the_image_s_own_pixels_end_just_outside():
    found = pixels_of_boxes([[1, 2, 3, 4]], 6)
    assert found[2:4, 1:3].all() and found.sum() == 4


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["file,x0,y0,x1", "a,0,0,1"], "lacks the columns y1. It has file, x0, y0, x1"),
        ([""], "lacks the columns file"),
        (["file,x0,y0,x1,y1,width", "a,0,0,1,1,9"], "width and height, or neither"),
        (["file,x0,y0,x1,y1", "a,0,0,1,1", "b,0,zero,1,1"], "line 3: .* y0='zero'"),
        (["file,x0,y0,x1,y1", "a,0,0,1"], "line 2: .* y1=None"),
        (["file,x0,y0,x1,y1", "a,5,0,1,1"], "line 2: a box needs"),
        (["file,x0,y0,x1,y1", ",0,0,1,1"], "line 2: a box needs a file"),
        (["file,x0,y0,x1,y1", "a,0,0,nan,1"], "line 2: a box needs"),
        (["file,x0,y0,x1,y1", "a,0,0,inf,1"], "line 2: a box needs"),
        (["file,x0,y0,x1,y1", "a,-inf,0,1,1"], "line 2: a box needs"),
        (["file,x0,y0,x1,y1,width,height", "a,0,0,1,1,0,9"], "line 2: width and height"),
        (
            ["file,x0,y0,x1,y1,width,height", "a,0,0,1,1,9,9", "a,0,0,1,1,9,8"],
            "line 3: width and height must be .* the same in all rows",
        ),
    ],
)
def test_a_broken_table_names_the_line(table, lines, message):
    with pytest.raises(ValueError, match=message):
        table(*lines)


def test_a_box_outside_its_image_is_refused(table, image):
    known = table("file,x0,y0,x1,y1", "a,40,0,50,9", "b,0,-9,5,-1", "c,30,10,60,30")
    for path in "ab":
        with pytest.raises(ValueError, match="lies outside the image of 40 x 20 pixels"):
            known.mask(path, image, 20)
    assert known.mask("c", image, 20)[10:, 15:].all()


def test_what_is_no_table_of_text_is_refused(tmp_path):
    (tmp_path / "boxes.csv").write_bytes(b"file,x0\xff\xfe")
    with pytest.raises(ValueError, match="is not a CSV file in UTF-8"):
        BoxTable(tmp_path / "boxes.csv")
    with pytest.raises(FileNotFoundError, match="columns file, x0"):
        BoxTable(tmp_path / "none.csv")
