"""The share of each cell's area on the object is exact, also where cells cut pixels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy_keras.cues.object_cells import object_cells
from proxy_keras.objects.object_masks import ObjectMasks


def mask(side: int, rows: slice, columns: slice) -> np.ndarray:
    result = np.zeros([side, side], bool)
    result[rows, columns] = True
    return result


def test_pixels_that_fill_cells() -> None:
    objects = ObjectMasks({0: mask(4, slice(0, 3), slice(0, 2))}, 4)
    inside, has_object = object_cells(objects, np.array([0]), (2, 2))
    assert inside.dtype == np.uint8 and has_object.tolist() == [True]
    assert inside.tolist() == [[[255, 0], [128, 0]]]


def test_cells_that_cut_pixels() -> None:
    # Cells of 1.5 pixels: the middle pixel is half in each.
    objects = ObjectMasks({0: mask(3, slice(0, 3), slice(1, 2))}, 3)
    inside, _ = object_cells(objects, np.array([0]), (1, 2))
    # Half a pixel of 1.5: 255 / 3.
    assert inside.tolist() == [[[85, 85]]]
    objects = ObjectMasks({0: mask(3, slice(0, 1), slice(0, 1))}, 3)
    inside, _ = object_cells(objects, np.array([0]), (2, 2))
    # One pixel of 2.25.
    assert inside.tolist() == [[[113, 0], [0, 0]]]


def test_more_cells_than_pixels() -> None:
    objects = ObjectMasks({0: mask(2, slice(0, 1), slice(0, 1))}, 2)
    inside, _ = object_cells(objects, np.array([0]), (4, 3))
    assert inside[0].tolist() == [[255, 128, 0]] * 2 + [[0, 0, 0]] * 2


def test_only_known_objects_count() -> None:
    objects = ObjectMasks({5: np.ones([4, 4], bool), 7: np.zeros([4, 4], bool)}, 4)
    inside, has_object = object_cells(objects, np.array([7, 5, 6, -1]), (2, 3))
    assert has_object.tolist() == [False, True, False, False]
    assert inside[1].tolist() == [[255] * 3] * 2 and not inside[[0, 2, 3]].any()
    inside, has_object = object_cells(None, np.array([5, 7]), (2, 3))
    assert inside.shape == (2, 2, 3) and not inside.any() and not has_object.any()


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 30), st.integers(1, 12), st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_the_area_of_the_object_is_kept(side: int, height: int, width: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).random([side, side]) < 0.5
    pixels[0, 0] = True
    inside, _ = object_cells(ObjectMasks({0: pixels}, side), np.array([0]), (height, width))
    # Each cell is rounded to 1/255.
    assert inside.mean() / 255 == pytest.approx(pixels.mean(), abs=0.5 / 255 + 1e-5)
    whole, _ = object_cells(
        ObjectMasks({0: np.ones([side, side], bool)}, side), np.array([0]), (height, width)
    )
    assert (whole == 255).all()
