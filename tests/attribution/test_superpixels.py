"""Superpixels: partitions of each image, numbered from 0, by colour or grid."""

import numpy as np
import pytest

from proxy_keras.attribution.superpixels import superpixels


def test_a_grid_has_equal_cells_for_every_image():
    labels = superpixels(np.zeros((2, 4, 6, 3), np.float32), 6, "grid")
    expected = [[0, 0, 1, 1, 2, 2], [0, 0, 1, 1, 2, 2], [3, 3, 4, 4, 5, 5], [3, 3, 4, 4, 5, 5]]
    np.testing.assert_array_equal(labels, [expected, expected])


@pytest.mark.parametrize(("shape", "count"), [((5, 5), 1), ((3, 40), 7), ((2, 2), 99), ((9, 7), 9)])
def test_cells_of_a_grid_are_numbered_without_gaps(shape, count):
    labels = superpixels(np.zeros((1, *shape, 1), np.float32), count, "grid")
    found = np.unique(labels)
    np.testing.assert_array_equal(found, np.arange(len(found)))
    assert len(found) <= max(1.5 * count, 1)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_slic_follows_colours(channels):
    images = np.zeros((1, 32, 32, channels), np.float32)
    images[0, :, 13:] = 200.0
    labels = superpixels(images, 8, "slic")[0]
    assert labels.dtype == np.int32
    np.testing.assert_array_equal(np.unique(labels), np.arange(labels.max() + 1))
    # No superpixel has a considerable part on both sides of the edge.
    for superpixel in range(labels.max() + 1):
        share = (labels[:, :13] == superpixel).sum() / (labels == superpixel).sum()
        assert min(share, 1 - share) < 0.2


@pytest.mark.parametrize("segmentation", ["slic", "grid"])
def test_segmentation_does_not_depend_on_the_batch_or_the_range(images, segmentation):
    whole = superpixels(images, 20, segmentation)
    assert whole.shape == (7, 16, 16)
    single = [superpixels(images[i : i + 1], 20, segmentation)[0] for i in range(7)]
    np.testing.assert_array_equal(whole, single)
    before = images.copy()
    np.testing.assert_array_equal(superpixels(images * 4 - 512, 20, segmentation), whole)
    np.testing.assert_array_equal(images, before)


def test_textured_images_are_divided_as_finely_as_asked():
    images = np.random.default_rng(0).uniform(0, 255, (3, 32, 32, 3)).astype(np.float32)
    for count in (5, 12):
        found = superpixels(images, count, "slic").max(axis=(1, 2)) + 1
        assert found.min() >= 0.6 * count
        assert found.max() <= 1.5 * count


@pytest.mark.parametrize("value", [0.0, 255.0, 1e6])
def test_constant_images_are_divided_too(value):
    labels = superpixels(np.full((1, 16, 16, 3), value, np.float32), 16, "slic")
    assert labels.max() + 1 == 16
