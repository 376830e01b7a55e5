"""Pointing game, mass inside and overlap against regions whose answers can be counted."""

import numpy as np
import pytest

from proxy_keras.metrics import iou, mass_inside, pointing_game


def point(row, column, size=20):
    heat = np.zeros((size, size))
    heat[row, column] = 1
    return heat


@pytest.mark.parametrize(
    ("at", "tolerance", "hits"),
    [
        ((5, 6), 0, True),
        ((9, 9), 0, True),
        ((10, 9), 0, False),
        ((10, 9), 1, True),
        ((12, 9), 2.9, False),
        ((12, 9), 3, True),
        # Diagonally: 3 down and 4 right of the corner pixel (9, 9).
        ((12, 13), 4.9, False),
        ((12, 13), 5, True),
    ],
)
def test_the_hottest_pixel_hits_in_the_region_or_within_the_tolerance(at, tolerance, hits):
    heat = point(*at)[None]
    # x from 4 to 9, y from 3 to 9.
    box = np.array([[4, 3, 10, 10]])
    mask = np.zeros((1, 20, 20), bool)
    mask[0, 3:10, 4:10] = True
    assert pointing_game(heat, box, tolerance=tolerance) == [hits]
    assert pointing_game(heat, mask, tolerance=tolerance) == [hits]
    assert pointing_game(heat, mask.astype(np.uint8), tolerance=tolerance) == [hits]


def test_the_default_tolerance_is_the_papers():
    box = np.array([[0, 0, 1, 1]])
    assert pointing_game(point(0, 15)[None], box) == [True]
    assert pointing_game(point(0, 16)[None], box) == [False]


def test_small_heatmaps_are_enlarged_to_the_images():
    heat = np.zeros((1, 2, 2))
    heat[0, 1, 0] = 1
    # The cell at the lower left covers y from 20 and x to 20 of 40 px.
    boxes = np.array([[0, 20, 20, 40]])
    assert pointing_game(heat, boxes, tolerance=0, size=(40, 40)) == [True]
    assert pointing_game(heat, boxes - [[0, 20, 0, 20]], tolerance=0, size=(40, 40)) == [False]
    assert 0.5 < mass_inside(heat, boxes, size=(40, 40))[0] < 1
    # Heat falls linearly along either axis, from 1 to 1/2 in the inner half of the cell: it is at
    # least one half but where a * b < 1/2, (2 ln 2 - 1) of that quarter.
    assert iou(heat, boxes, size=(40, 40)) == pytest.approx([1 - (2 * np.log(2) - 1) / 4], abs=0.01)


def test_mass_inside_is_the_share_of_the_heat():
    heat = np.array([[[1.0, 2.0], [3.0, 4.0]], [[0.0, 0.0], [0.0, 0.0]], [[0, 1], [0, 0]]])
    mask = np.array([[[True, False], [False, True]]] * 3)
    np.testing.assert_allclose(mass_inside(heat, mask), [0.5, 0, 0])
    boxes = np.array([[1, 0, 2, 2]] * 3)
    np.testing.assert_allclose(mass_inside(heat, boxes), [0.6, 0, 1])


def test_iou_counts_pixels_at_or_above_the_threshold():
    heat = np.array([[[0.5, 0.6], [0.4, 0.0]], [[0.0, 0.0], [0.0, 0.0]]])
    mask = np.array([[[True, False], [True, False]]] * 2)
    np.testing.assert_allclose(iou(heat, mask), [1 / 3, 0])
    np.testing.assert_allclose(iou(heat, mask, threshold=0.4), [2 / 3, 0])
    np.testing.assert_allclose(iou(heat, mask, threshold=0.55), [0, 0])


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_constant_map_points_at_nothing(value):
    maps = np.full((1, 4, 4), value)
    assert pointing_game(maps, np.ones((1, 4, 4), bool)) == [False]


def test_wrong_arguments_are_refused():
    heat = point(1, 1, 4)[None]
    mask = np.ones((1, 4, 4), bool)
    for regions in (mask[0], mask.repeat(2, axis=0), np.zeros((1, 3))):
        with pytest.raises(ValueError, match="one per heatmap"):
            pointing_game(heat, regions)
    with pytest.raises(ValueError, match=r"empty ones at \[0\]"):
        iou(heat, ~mask)
    with pytest.raises(ValueError, match="at least one pixel"):
        iou(heat, [[5, 5, 9, 9]])
    with pytest.raises(ValueError, match="bools, or 0 and 1"):
        iou(heat, mask * 255)
    with pytest.raises(ValueError, match="`size` must match the masks"):
        iou(heat, mask, size=(8, 8))
    with pytest.raises(ValueError, match="`tolerance` must be >= 0"):
        pointing_game(heat, mask, tolerance=-1)
    with pytest.raises(ValueError, match="`threshold` must be > 0"):
        iou(heat, mask, threshold=0)
    with pytest.raises(ValueError, match="Heat must be >= 0"):
        mass_inside(-heat, mask)
