"""DonorBank: which image gives its masked region to which, and how many are kept."""

import numpy as np
import pytest

from proxy_keras.data.donor_bank import DonorBank, blank_donors, draw_bank
from proxy_keras.heatmaps.eight_bit import NEVER_HOT

IMAGES = np.arange(4, dtype=np.uint8)[:, None, None, None] * np.ones((4, 8, 8, 3), np.uint8)


def bank(*, other_class=False, labels=(0, 0, 1, 1), keeps=False):
    return DonorBank(
        np.array([2, 5, 7, 9]),
        np.array(labels, np.int32),
        IMAGES,
        np.full((4, 2, 2), 255, np.uint8),
        np.array([0.1, 0.2, 0.3, 0.4], np.float32),
        seed=0,
        other_class=other_class,
        keeps=keeps,
    )


def test_no_image_gives_to_itself_and_all_others_do():
    places = np.full([400], 5)
    drawn = bank().draw(places, np.zeros(400, int), np.ones(400, bool), epoch=0, batch=0)
    counts = np.bincount(drawn.images[:, 0, 0, 0], minlength=4)
    assert counts[1] == 0 and counts[[0, 2, 3]].min() > 90
    assert drawn.heatmaps.min() == 1.0
    np.testing.assert_array_equal(
        drawn.thresholds, np.array([0.1, 0.2, 0.3, 0.4], np.float32)[drawn.images[:, 0, 0, 0]]
    )


def test_donors_of_another_class():
    labels = np.array([0, 1] * 50)
    drawn = bank(other_class=True).draw(
        np.arange(100) + 100, labels, np.ones(100, bool), epoch=0, batch=0
    )
    assert set(drawn.images[labels == 0, 0, 0, 0]) == {2, 3}
    assert set(drawn.images[labels == 1, 0, 0, 0]) == {0, 1}


def test_where_no_class_differs_there_is_no_donor():
    one = bank(other_class=True, labels=(1, 1, 1, 1))
    drawn = one.draw(np.array([20, 21]), np.array([1, 0]), np.ones(2, bool), epoch=0, batch=0)
    assert drawn.heatmaps.max(axis=(1, 2)).tolist() == [0.0, 1.0]
    assert (drawn.thresholds == NEVER_HOT).tolist() == [True, False]


def test_originals_get_no_donor_and_do_not_change_the_draw():
    places, labels = np.arange(10), np.zeros(10, int)
    some = np.arange(10) % 2 == 0
    every = bank().draw(places, labels, np.ones(10, bool), epoch=1, batch=2)
    half = bank().draw(places, labels, some, epoch=1, batch=2)
    np.testing.assert_array_equal(half.images, every.images)
    np.testing.assert_array_equal(half.heatmaps.max(axis=(1, 2)), some.astype(np.float32))


@pytest.mark.parametrize("change", [{"epoch": 3}, {"batch": 3}])
def test_draws_are_keyed_by_epoch_and_batch(change):
    drawn = (np.arange(50), np.zeros(50, int), np.ones(50, bool))
    first = bank().draw(*drawn, epoch=1, batch=2).images
    np.testing.assert_array_equal(bank().draw(*drawn, epoch=1, batch=2).images, first)
    assert (bank().draw(*drawn, **{"epoch": 1, "batch": 2, **change}).images != first).any()


def test_an_image_keeps_its_donor_in_all_draws_and_any_company():
    places, labels, every = np.arange(50), np.zeros(50, int), np.ones(50, bool)
    keeping = bank(other_class=True, keeps=True)
    first = keeping.draw(places, labels, every, epoch=0, batch=0).images
    # Images of class 0 are given one of class 1, and not all the same.
    assert set(first[:, 0, 0, 0]) == {2, 3}
    some = places[::-3]
    again = keeping.draw(some, labels[::-3], every[::-3], epoch=4, batch=2).images
    np.testing.assert_array_equal(again, first[::-3])


def test_a_bank_keeps_all_images_where_they_fit_and_a_draw_elsewhere():
    positions = np.arange(3000)
    np.testing.assert_array_equal(
        draw_bank(positions[:1024], 32, seed=0, epoch=0), positions[:1024]
    )
    kept = draw_bank(positions, 32, seed=0, epoch=0)
    assert len(kept) == 1024 and (np.diff(kept) > 0).all()
    assert (draw_bank(positions, 32, seed=1, epoch=0) != kept).any()
    # 256 MiB hold 89 images of 1000 x 1000 pixels.
    assert len(draw_bank(positions, 1000, seed=0, epoch=0)) == 89


def test_blank_donors_paste_nothing():
    images, heatmaps, thresholds = blank_donors(3, 8)
    assert images.shape == (3, 8, 8, 3) and heatmaps.max() == 0.0
    assert (thresholds == NEVER_HOT).all()
