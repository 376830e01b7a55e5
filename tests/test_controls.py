"""The random-mask control: the same maps, on other images, elsewhere."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy_keras.controls import displaced


@settings(deadline=None)
@given(st.integers(2, 12), st.integers(0, 100))
def test_every_map_goes_to_another_image_with_its_values(n, seed):
    # Map k holds the values 100 k to 100 k + 5, so that donors can be told.
    maps = (100 * np.arange(n)[:, None, None] + np.arange(6).reshape(1, 2, 3)).astype(np.float32)
    moved = displaced(maps, seed=seed, epoch=0)
    donors = (moved // 100)[:, 0, 0].astype(int)
    assert sorted(donors) == list(range(n))
    assert (donors != np.arange(n)).all()
    for image, donor in enumerate(donors):
        assert sorted(moved[image].ravel()) == sorted(maps[donor].ravel())


def test_shifts_reach_every_cell():
    maps = np.zeros((200, 3, 4), np.float32)
    maps[:, 0, 0] = 1.0
    moved = displaced(maps, seed=0, epoch=0)
    assert (moved.sum(axis=(1, 2)) == 1).all()
    assert (moved.sum(axis=0) > 5).all()


def test_same_key_same_masks():
    maps = np.random.default_rng(0).random((5, 4, 4), np.float32)
    np.testing.assert_array_equal(
        displaced(maps, seed=1, epoch=2), displaced(maps, seed=1, epoch=2)
    )
    assert not np.array_equal(displaced(maps, seed=1, epoch=2), displaced(maps, seed=1, epoch=3))


def test_no_maps_and_one_map():
    assert displaced(np.zeros((0, 2, 2), np.float32), seed=0, epoch=0).shape == (0, 2, 2)
    one = np.array([[[1.0, 2.0], [3.0, 4.0]]], np.float32)
    assert sorted(displaced(one, seed=0, epoch=0).ravel()) == [1, 2, 3, 4]
