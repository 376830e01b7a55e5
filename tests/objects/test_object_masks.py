"""Objects of a split come from masks, else from boxes, else from the data set."""

import shutil

import numpy as np
import pytest
from PIL import Image

from proxy_keras.data import ImageData
from proxy_keras.objects.object_masks import ObjectMasks, find_object_masks

P = 16


@pytest.fixture
def photos(tmp_path):
    """Return a folder of distinct images of 20 x 10 pixels with a test split of four."""
    draw = np.random.default_rng(0)
    for split, count in (("train", 6), ("test", 2)):
        for name in ("cat", "dog"):
            folder = tmp_path / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = draw.integers(0, 256, (10, 20, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.bmp")
    return tmp_path


def opened(photos):
    return ImageData.from_folder(photos, image_size=P, progress=False)


def paths_of(data, split):
    path_of = dict(zip(data.table.example_ids, data.table.paths, strict=True))
    return [path_of[example_id] for example_id in split.example_ids]


def add_mask(photos, path, *, left):
    """Write a mask of the left or right half of an image to `masks`."""
    file = (photos / "masks" / path).with_suffix(".png")
    file.parent.mkdir(parents=True, exist_ok=True)
    grey = np.zeros((10, 20), np.uint8)
    grey[:, :10] = 255
    Image.fromarray(grey if left else 255 - grey).save(file)


def add_boxes(photos, paths):
    lines = [f"{path},0,0,19,4" for path in paths]
    (photos / "boxes.csv").write_text("\n".join(["file,x0,y0,x1,y1", *lines]) + "\n")


LEFT = np.tile(np.arange(P) < P // 2, (P, 1))


def test_masks_come_before_boxes(photos):
    data = opened(photos)
    paths = paths_of(data, data.test)
    add_mask(photos, paths[1], left=True)
    add_mask(photos, paths[3], left=False)
    add_mask(photos, "train/cat/0.bmp", left=True)
    add_mask(photos, "test/cat/gone.bmp", left=True)
    add_boxes(photos, paths)
    found = find_object_masks(data, data.test, photos, progress=False)
    assert found.image_size == P
    assert found.positions.tolist() == [1, 3] and len(found) == 2
    assert found.has(np.arange(4)).tolist() == [False, True, False, True]
    np.testing.assert_array_equal(found.masks(np.array([3, 1])), [~LEFT, LEFT])
    with pytest.raises(ValueError, match="not known in the images at .0, 2"):
        found.masks(np.arange(4))


def test_boxes_where_there_are_no_masks_or_none_of_these_images(photos):
    data = opened(photos)
    paths = paths_of(data, data.test)
    add_boxes(photos, [*paths[:3], "train/dog/0.bmp"])
    found = find_object_masks(data, data.test, photos, progress=False)
    assert found.positions.tolist() == [0, 1, 2]
    np.testing.assert_array_equal(found.masks(found.positions)[2], LEFT.T)
    add_mask(photos, "other/0.bmp", left=True)
    again = find_object_masks(data, data.test, photos, progress=False)
    assert again.positions.tolist() == [0, 1, 2]


def test_what_is_asked_for_is_taken(photos):
    data = opened(photos)
    paths = paths_of(data, data.test)
    add_mask(photos, paths[0], left=True)
    add_boxes(photos, paths)
    elsewhere = photos / "elsewhere"
    shutil.move(photos / "masks", elsewhere)
    asked = {"progress": False}
    assert len(find_object_masks(data, data.test, photos, masks=elsewhere, **asked)) == 1
    shutil.move(elsewhere, photos / "masks")
    assert len(find_object_masks(data, data.test, photos, boxes=photos / "boxes.csv", **asked)) == 4


def test_only_asked_images_are_read(photos):
    data = opened(photos)
    paths = paths_of(data, data.test)
    for path in paths:
        add_mask(photos, path, left=True)
    (photos / "masks" / paths[0]).with_suffix(".png").write_bytes(b"damaged")
    found = find_object_masks(data, data.test, photos, positions=np.array([3, 1]), progress=False)
    assert found.positions.tolist() == [1, 3]
    with pytest.raises(ValueError, match="cannot be read"):
        find_object_masks(data, data.test, photos, progress=False)


def test_asked_ones_of_no_image_are_refused(photos):
    data = opened(photos)
    add_mask(photos, "cat/0.bmp", left=True)
    add_boxes(photos, ["cat/0.bmp"])
    assert find_object_masks(data, data.test, photos, progress=False) is None
    expected = r"has 1 images, but none of the split 'test'.* e\.g\. 'test/.*/\d.png'"
    with pytest.raises(ValueError, match=expected):
        find_object_masks(data, data.test, photos, masks=photos / "masks", progress=False)
    with pytest.raises(ValueError, match=r"e\.g\. 'test/.*/\d.bmp'"):
        find_object_masks(data, data.test, photos, boxes=photos / "boxes.csv", progress=False)
    with pytest.raises(ValueError, match="not both"):
        find_object_masks(data, data.test, photos, masks=photos, boxes=photos)
    with pytest.raises(ValueError, match="are not files"):
        find_object_masks(data, data.test, masks=photos / "masks")


def test_a_mask_without_a_pixel_says_that_there_is_no_object():
    masks = {0: LEFT, 4: np.zeros((P, P), bool)}
    found = ObjectMasks(masks, P)
    assert found.positions.tolist() == [0]
    assert not found.has(np.array([4])).any()


def test_decoy_digits_know_their_own_boxes():
    data = ImageData.from_source("decoy_digits", progress=False)
    found = find_object_masks(data, data.test, progress=False)
    assert len(found) == len(data.test)
    x0, y0, x1, y1 = data.boxes[data.test.example_ids[5]]
    mask = found.masks(np.array([5]))[0]
    assert mask[y0:y1, x0:x1].all() and mask.sum() == (y1 - y0) * (x1 - x0)
    plain = ImageData.from_source("digits", progress=False)
    assert find_object_masks(plain, plain.test) is None


def test_real_masks_lie_in_their_boxes(shared_data):
    root = shared_data / "pets3_masks"
    data = ImageData.from_folder(root, image_size=64, progress=False)
    by_mask = find_object_masks(data, data.test, root, progress=False)
    by_box = find_object_masks(data, data.test, root, boxes=root / "boxes.csv", progress=False)
    assert len(by_mask) == len(by_box) == len(data.test)
    masks, boxes = by_mask.masks(by_mask.positions), by_box.masks(by_box.positions)
    # The boxes exclude the border.
    assert 0.90 < (masks & boxes).sum() / masks.sum() < 1.0
    assert 0.38 < masks.mean() < 0.43
