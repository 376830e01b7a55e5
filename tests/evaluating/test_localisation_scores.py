"""Perfect heatmaps score 1, inverted ones at chance or below, and chance is exact."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy_keras.evaluating.localisation_scores import (
    LocalisationScores,
    centre_spot,
    pointing_tolerance,
    score_localisation,
)

SIDE = 28


def boxes(seed, count=6):
    """Return masks of one random box each, up to half of the image."""
    draw = np.random.default_rng(seed)
    masks = np.zeros([count, SIDE, SIDE], bool)
    for mask in masks:
        height, width = draw.integers(2, 20, 2)
        y, x = draw.integers(0, SIDE - height), draw.integers(0, SIDE - width)
        mask[y : y + height, x : x + width] = True
    return masks


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 9999))
def test_planted_heat_scores_one_and_inverted_heat_at_chance_or_below(seed):
    masks = boxes(seed)
    planted = score_localisation(masks.astype(np.float32), masks, np.arange(6))
    assert planted.pointing.all()
    np.testing.assert_array_equal(planted.mass, 1.0)
    np.testing.assert_array_equal(planted.iou, 1.0)
    inverted = score_localisation(1.0 - masks, masks, np.arange(6))
    np.testing.assert_array_equal(inverted.mass, 0.0)
    np.testing.assert_array_equal(inverted.iou, 0.0)
    # Its hottest pixel is the first background pixel in reading order, often the corner.
    is_near = np.array([mask[:3, :3].any() for mask in masks])
    assert not inverted.pointing[~is_near].any()


def test_inverted_heat_with_its_peak_far_from_the_object_points_below_chance():
    masks = boxes(3)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    heat = np.empty(masks.shape, np.float32)
    for one, mask in zip(heat, masks, strict=True):
        y, x = (places.mean() for places in np.nonzero(mask))
        one[:] = np.where(mask, 0.0, np.hypot(rows - y, columns - x))
    found = score_localisation(heat / heat.max(axis=(1, 2), keepdims=True), masks, np.arange(6))
    assert found.pointing.mean() < found.near.mean()
    assert (found.mass == 0.0).all() and (found.iou <= found.area).all()


def test_even_heat_scores_the_area():
    masks = boxes(1)
    even = np.full(masks.shape, 0.7, np.float32)
    found = score_localisation(even, masks, np.arange(6))
    assert found.mass == pytest.approx(found.area) and found.iou == pytest.approx(found.area)
    assert not found.pointing.any()


def test_a_random_pixel_wins_the_pointing_game_by_its_chance():
    masks = np.zeros([3000, SIDE, SIDE], bool)
    masks[:, 4:12, 10:20] = True
    heat = np.random.default_rng(0).random(masks.shape, np.float32)
    found = score_localisation(heat, masks, np.arange(3000))
    # A tolerance of 1.875 pixels adds one pixel at each side and corner of the box.
    assert found.near[0] == 10 * 12 / SIDE**2
    assert found.pointing.mean() == pytest.approx(found.near[0], abs=0.03)
    assert found.mass.mean() == pytest.approx(found.area[0], abs=0.001)


def test_blank_heat_scores_nothing():
    found = score_localisation(np.zeros([6, 7, 7]), boxes(2), np.arange(6))
    assert not found.pointing.any() and not found.mass.any() and not found.iou.any()


def test_the_middle_is_a_gaussian_of_a_quarter_of_the_side():
    for side in (28, 31):
        spot = centre_spot(side)
        assert spot.max() == 1.0 and spot.min() > 0.0
        np.testing.assert_allclose(spot, spot[::-1, ::-1], rtol=1e-6)
        half = (spot >= 0.5).sum() / side**2
        assert half == pytest.approx(np.pi * 2 * np.log(2) / 16, abs=0.02)
    centred = np.zeros([1, 28, 28], bool)
    centred[0, 10:18, 10:18] = True
    corner = np.zeros([1, 28, 28], bool)
    corner[0, :8, :8] = True
    found = score_localisation(np.ones([2, 7, 7]), np.concatenate([centred, corner]), np.arange(2))
    assert found.centre_pointing.tolist() == [True, False]
    assert found.centre_mass[0] > found.area[0] > found.centre_mass[1]
    assert found.centre_iou[0] > 0.2 > found.centre_iou[1]


def test_the_tolerance_is_that_of_the_paper_in_proportion():
    assert pointing_tolerance(224) == 15 and pointing_tolerance(28) == 15 / 8


def test_parts_are_joined_by_position_and_told_as_json():
    masks = boxes(7)
    heat = np.random.default_rng(1).random([6, 7, 7], np.float32)
    together = score_localisation(heat, masks, np.arange(6))
    parts = [
        score_localisation(heat[chosen], masks[chosen], chosen)
        for chosen in np.array([[5, 0, 3], [2, 4, 1]])
    ]
    joined = LocalisationScores.joined(parts)
    for name, values in vars(together).items():
        np.testing.assert_array_equal(getattr(joined, name), values)
    told = together.to_dict()
    assert told["images"] == 6 and told["area"] == pytest.approx(masks.mean())
    assert told["mass_inside"] == {
        "mean": pytest.approx(together.mass.mean()),
        "centre": pytest.approx(together.centre_mass.mean()),
        "area": pytest.approx(masks.mean()),
    }
    assert told["pointing_game"]["area"] == pytest.approx(together.near.mean())
    surplus = told["mass_inside_over_area"]
    assert surplus["value"] == pytest.approx((together.mass - together.area).mean())
    assert surplus["interval"][0] <= surplus["value"] <= surplus["interval"][1]
    assert told["pointing_over_centre"]["value"] == pytest.approx(
        together.pointing.mean() - together.centre_pointing.mean()
    )
