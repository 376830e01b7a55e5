"""Decoy digits: only the decoy reveals the class, and only in training."""

from __future__ import annotations

import numpy as np
import pytest

from proxy_keras.data import decoy_digits
from proxy_keras.data.decoy_digits import DECOY_RATE, HUES, make_decoy_digits


@pytest.fixture(scope="module")
def made():
    return make_decoy_digits()


@pytest.fixture(scope="module")
def plain():
    return make_decoy_digits(decoys=False)


def colours(images: np.ndarray, patches: np.ndarray) -> np.ndarray:
    return np.stack([image[y0, x0] for image, (x0, y0, _, _) in zip(images, patches, strict=True)])


def told(images: np.ndarray, patches: np.ndarray) -> np.ndarray:
    """The number of each decoy's hue."""
    palette = np.rint([decoy_digits._colour(hue) for hue in range(HUES)])
    distance = np.abs(colours(images, patches)[:, None].astype(float) - palette).max(-1)
    assert (distance.min(1) == 0).all()
    return distance.argmin(1)


def test_shapes(made):
    assert made.x_train.shape == (1438, 32, 32, 3)
    assert made.x_test.shape == (359, 32, 32, 3)
    assert made.x_train.dtype == np.uint8
    for labels, boxes in ((made.y_train, made.boxes_train), (made.y_test, made.boxes_test)):
        assert boxes.shape == (len(labels), 4)
        assert set(labels) == set(range(10))
    assert np.bincount(made.y_test).min() >= 34


def test_the_same_seed_makes_the_same_images(made):
    again = make_decoy_digits()
    assert np.array_equal(again.x_train, made.x_train)
    assert np.array_equal(again.x_test, made.x_test)
    assert not np.array_equal(make_decoy_digits(1).x_train, made.x_train)


def test_only_the_decoy_differs_without_decoys(made, plain):
    assert np.array_equal(made.y_train, plain.y_train)
    assert np.array_equal(made.boxes_test, plain.boxes_test)
    for part in ("train", "test"):
        is_changed = (getattr(made, f"x_{part}") != getattr(plain, f"x_{part}")).any(-1)
        patches = getattr(made, f"decoys_{part}")
        for changed, (x0, y0, x1, y1) in zip(is_changed, patches, strict=True):
            assert changed[y0:y1, x0:x1].mean() > 0.9
            changed[y0:y1, x0:x1] = False
            assert not changed.any()


def test_the_decoy_does_not_cover_the_digit(made):
    for boxes, patches in (
        (made.boxes_train, made.decoys_train),
        (made.boxes_test, made.decoys_test),
    ):
        size = patches[:, 2:] - patches[:, :2]
        assert (size == 6).all()
        assert patches.min() >= 0
        assert patches.max() <= 32
        apart = (patches[:, :2] >= boxes[:, 2:]) | (patches[:, 2:] <= boxes[:, :2])
        assert apart.any(1).all()


def test_the_box_holds_the_digit(plain):
    inside, outside = [], []
    for image, (x0, y0, x1, y1) in zip(plain.x_train, plain.boxes_train, strict=True):
        assert 0 <= x0 < x1 <= 32
        assert 0 <= y0 < y1 <= 32
        is_box = np.zeros((32, 32), bool)
        is_box[y0:y1, x0:x1] = True
        inside.append(image[is_box].mean())
        outside.append(image[~is_box].mean())
    assert np.mean(np.array(inside) > outside) > 0.98


def test_in_training_the_decoy_matches_the_class_at_the_given_rate(made):
    right = told(made.x_train, made.decoys_train) == made.y_train // 2
    assert right.mean() == pytest.approx(DECOY_RATE, abs=0.03)


def test_in_test_the_decoy_is_random(made):
    right = told(made.x_test, made.decoys_test) == made.y_test // 2
    assert right.mean() == pytest.approx(0.2, abs=0.06)


@pytest.mark.parametrize("size", [16, 48])
def test_other_sizes(size):
    made = make_decoy_digits(image_size=size)
    assert made.x_train.shape[1:] == (size, size, 3)
    assert made.boxes_train.max() <= size
    assert (made.decoys_train[:, 2] - made.decoys_train[:, 0] == round(size * 0.19)).all()


def test_too_small_is_refused():
    with pytest.raises(ValueError, match="`image_size` must be >= 16"):
        make_decoy_digits(image_size=8)
