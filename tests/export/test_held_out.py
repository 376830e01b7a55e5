"""Held-out images as files: the same pixels, by class, and nothing overwritten."""

import numpy as np
import pytest
from PIL import Image

from export.held_out import write_images
from proxy_keras.data import ImageData


@pytest.fixture
def data():
    images = np.random.default_rng(0).integers(0, 256, (60, 9, 9, 3), np.uint8)
    return ImageData.from_arrays(images, np.arange(60) % 2, classes=["a", "b c"], progress=False)


def test_every_image_lies_under_its_class(data, tmp_path):
    assert write_images(data.test, tmp_path / "out") == len(data.test)
    files = sorted((tmp_path / "out").rglob("*.png"))
    assert len(files) == len(data.test) > 0
    expected = {
        data.test.example_ids[p]: (image, data.classes[label])
        for ps, images, labels in data.test.originals(4).as_numpy_iterator()
        for p, image, label in zip(ps, images, labels, strict=True)
    }
    for file in files:
        image, name = expected[file.stem]
        with Image.open(file) as written:
            np.testing.assert_array_equal(np.asarray(written), image)
        assert file.parent.name == name


def test_writing_them_again_changes_nothing(data, tmp_path):
    for _ in range(2):
        assert write_images(data.test, tmp_path) == len(data.test)
    assert len(list(tmp_path.rglob("*.png"))) == len(data.test)


def test_a_folder_that_holds_something_else_is_refused(data, tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(ValueError, match="1 other files, such as mine.txt"):
        write_images(data.test, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_class_that_names_no_folder_is_refused(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (60, 9, 9, 3), np.uint8)
    data = ImageData.from_arrays(images, np.arange(60) % 2, classes=["a", "../b"], progress=False)
    with pytest.raises(ValueError, match="'../b'"):
        write_images(data.test, tmp_path / "out")
