"""Masks of several kinds are read as pixels of the stretched image, or refused."""

import numpy as np
import pytest
from PIL import Image

from proxy_keras.objects.mask_folder import MaskFolder


@pytest.fixture
def mask_of(tmp_path):
    """Return a function that saves an image as a mask and reads it at 8 pixels."""

    def read(picture, image_size=(16, 8)):
        (tmp_path / "masks" / "test" / "cat").mkdir(parents=True, exist_ok=True)
        picture.save(tmp_path / "masks" / "test" / "cat" / "1.png")
        Image.new("RGB", image_size).save(tmp_path / "1.png")
        return MaskFolder(tmp_path / "masks").mask("test/cat/1.jpg", tmp_path / "1.png", 8)

    return read


def left_half(value, middle=None):
    """Return 16 x 8 (width, height) grey pixels: `value` on the left, `middle` next to it."""
    grey = np.zeros((8, 16), np.uint8)
    grey[:, :8] = value
    if middle is not None:
        grey[:, 8:10] = middle
    return Image.fromarray(grey)


HALF = np.tile(np.arange(8) < 4, (8, 1))


def test_masks_are_found_in_another_unicode_normal_form(tmp_path):
    (tmp_path / "masks/caf\u00e9").mkdir(parents=True)
    left_half(255).save(tmp_path / "masks/caf\u00e9/1.png")
    Image.new("RGB", (16, 8)).save(tmp_path / "1.png")
    known = MaskFolder(tmp_path / "masks")
    assert known.has("cafe\u0301/1.jpg")
    np.testing.assert_array_equal(known.mask("cafe\u0301/1.jpg", tmp_path / "1.png", 8), HALF)


@pytest.mark.parametrize("value", [1, 255])
def test_plain_masks(mask_of, value):
    np.testing.assert_array_equal(mask_of(left_half(value)), HALF)


@pytest.mark.parametrize("mode", ["1", "P", "RGB"])
def test_modes(mask_of, mode):
    np.testing.assert_array_equal(mask_of(left_half(255).convert(mode)), HALF)


def test_the_border_of_a_trimap_is_object(mask_of):
    with_border = np.tile(np.arange(8) < 5, (8, 1))
    np.testing.assert_array_equal(mask_of(left_half(255, middle=128)), with_border)
    np.testing.assert_array_equal(mask_of(left_half(255, middle=127)), HALF)


def test_a_mask_in_proportion_is_as_good(mask_of):
    np.testing.assert_array_equal(mask_of(left_half(255), image_size=(320, 160)), HALF)
    # 320 x 213 is 16 x 10.65.
    assert mask_of(Image.new("L", (16, 11), 255), image_size=(320, 213)).all()


@pytest.mark.parametrize("size", [(8, 16), (8, 8), (224, 224)])
def test_a_mask_of_other_proportions_is_refused(mask_of, size):
    with pytest.raises(ValueError, match="pixels .*, its image 16 x 8"):
        mask_of(Image.new("L", size, 255))


def test_pixels_count_when_half_covered_and_a_thin_object_does_not_vanish(mask_of):
    grey = np.zeros((8, 16), np.uint8)
    grey[:, 3] = 255
    np.testing.assert_array_equal(mask_of(Image.fromarray(grey))[0], np.arange(8) == 1)
    fine = np.kron(grey, np.ones((2, 2), np.uint8))
    # A quarter of the pixels in the next column: 1 of 2 rows, 2 of 4 columns.
    fine[::2, 8:10] = 255
    np.testing.assert_array_equal(mask_of(Image.fromarray(fine))[0], np.arange(8) == 1)
    grey[:] = 0
    grey[2, 5] = 255
    thin = Image.fromarray(np.kron(grey, np.array([[1, 0], [0, 0]], np.uint8)))
    found = mask_of(thin)
    assert found[2, 2] and found.sum() == 1


def test_a_mask_without_an_object_is_empty(mask_of):
    assert not mask_of(left_half(0)).any()


def test_class_ids_and_colours_are_refused(mask_of):
    with pytest.raises(ValueError, match="no grey level above 3"):
        mask_of(left_half(3, middle=2))
    with pytest.raises(ValueError, match="has colours"):
        mask_of(Image.new("RGB", (16, 8), "maroon"))


def test_damaged_and_missing_ones_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="is not a folder"):
        MaskFolder(tmp_path / "none")
    (tmp_path / "masks").mkdir()
    with pytest.raises(ValueError, match="has no PNG files"):
        MaskFolder(tmp_path / "masks")
    (tmp_path / "masks" / "a.png").write_bytes(b"no picture")
    folder = MaskFolder(tmp_path / "masks")
    assert len(folder) == 1 and folder.has("a.jpg") and not folder.has("b.jpg")
    with pytest.raises(ValueError, match="a.png' cannot be read: not an image"):
        folder.mask("a.jpg", tmp_path / "a.jpg", 8)
