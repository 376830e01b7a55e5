"""Control masks: shifted heatmaps of other images, and squares of a given area."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy_keras.proxy.controls import frame_masks, mask_donors, random_masks, square_masks


@settings(deadline=None)
@given(st.integers(2, 12), st.integers(0, 100))
def test_every_map_goes_to_another_image_with_its_values(n, seed):
    # Map k holds the values 100 k to 100 k + 5, so that donors can be recognised.
    maps = (100 * np.arange(n)[:, None, None] + np.arange(6).reshape(1, 2, 3)).astype(np.float32)
    moved, donors = random_masks(maps, seed=seed, epoch=0)
    sources = (moved // 100)[:, 0, 0].astype(int)
    assert sorted(sources) == list(range(n))
    np.testing.assert_array_equal(sources, donors)
    assert (donors != np.arange(n)).all()
    for image, donor in enumerate(donors):
        assert sorted(moved[image].ravel()) == sorted(maps[donor].ravel())


def test_shifts_reach_every_cell():
    maps = np.zeros((200, 3, 4), np.float32)
    maps[:, 0, 0] = 1.0
    moved, _ = random_masks(maps, seed=0, epoch=0)
    assert (moved.sum(axis=(1, 2)) == 1).all()
    assert (moved.sum(axis=0) > 5).all()


def test_same_key_same_masks():
    maps = np.random.default_rng(0).random((5, 4, 4), np.float32)
    first, again, other = (random_masks(maps, seed=1, epoch=epoch)[0] for epoch in (2, 2, 3))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_no_maps_and_one_map():
    assert random_masks(np.zeros((0, 2, 2), np.float32), seed=0, epoch=0)[0].shape == (0, 2, 2)
    one = np.array([[[1.0, 2.0], [3.0, 4.0]]], np.float32)
    assert sorted(random_masks(one, seed=0, epoch=0)[0].ravel()) == [1, 2, 3, 4]


@given(st.integers(2, 50), st.integers(0, 100))
def test_each_mask_goes_to_one_other_image(n, seed):
    donors = mask_donors(n, seed=seed, epoch=1)
    assert sorted(donors) == list(range(n))
    assert (donors != np.arange(n)).all()
    np.testing.assert_array_equal(donors, mask_donors(n, seed=seed, epoch=1))


@given(st.integers(0, 20), st.floats(0.0, 1.0), st.integers(0, 100))
def test_squares_are_squares_inside_the_image(n, area, seed):
    masks = square_masks(n, area=area, seed=seed, epoch=0)
    assert masks.shape == (n, 32, 32)
    for mask in masks:
        rows, columns = mask.any(axis=1).sum(), mask.any(axis=0).sum()
        assert rows == columns and (mask == 255).sum() == rows**2
        assert (rows - 1) ** 2 < 1024 * area + 1e-6 or rows == 0
        assert 1024 * area - 1e-6 < (rows + 1) ** 2


@pytest.mark.parametrize("area", [0.0, 0.0004, 0.03, 0.25, 0.9, 1.0])
def test_squares_have_the_mean_area_asked_for(area):
    masks = square_masks(8000, area=area, seed=0, epoch=0)
    assert (masks == 255).mean() == pytest.approx(area, rel=0.05)


def test_squares_reach_every_corner():
    reached = square_masks(2000, area=0.25, seed=0, epoch=0).any(axis=0)
    assert reached[0, 0] and reached[0, -1] and reached[-1, 0] and reached[-1, -1]


@pytest.mark.parametrize("area", [0.0, 0.1, 0.5, 0.937, 1.0])
def test_frames_leave_a_square_in_the_middle_and_have_the_mean_area_asked_for(area):
    masks = frame_masks(8000, area=area, seed=0, epoch=0)
    assert (masks == 255).mean() == pytest.approx(area, rel=0.05)
    for mask in masks[:50] == 0:
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        np.testing.assert_array_equal(rows, columns)
        assert mask.sum() == len(rows) ** 2
        assert len(rows) == 0 or rows[0] + rows[-1] in (30, 31)


def test_frames_of_no_masks():
    assert frame_masks(0, area=0.5, seed=0, epoch=0).shape == (0, 32, 32)
