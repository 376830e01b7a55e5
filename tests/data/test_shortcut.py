"""The planted patch shows the class at the given rate, and is random in test."""

from __future__ import annotations

import numpy as np
import pytest

from proxy_keras.data.records import Record
from proxy_keras.data.shortcut import Shortcut
from proxy_keras.data.split_draw import draw_split
from proxy_keras.data.split_table import SplitTable


def table_of(num_classes: int, per_class: int) -> SplitTable:
    rng = np.random.default_rng(0)
    records = [
        Record(f"{label}/{i}", str(label), None, rng.bytes(32).hex(), 1)
        for label in range(num_classes)
        for i in range(per_class)
    ]
    return draw_split(records, seed=0, val=0.3, test=0.3).table


TABLE = table_of(4, 500)
ROWS = np.arange(len(TABLE))


def planted(rate: float, *, table=TABLE, rows=ROWS, seed: int = 0) -> np.ndarray:
    images = np.full((len(rows), 12, 12, 3), 9, np.uint8)
    return Shortcut(table, rows, rate=rate, seed=seed, image_size=12)(images, rows)


def told(images: np.ndarray) -> np.ndarray:
    """Return the class that each patch shows."""
    return np.rint(images[:, 0, 0, 0] / 85.0).astype(int)


def test_a_grey_patch_in_the_corner_and_nothing_else():
    images = planted(1.0)
    assert (images[:, :2, :2] == images[:, :1, :1, :1]).all()
    images[:, :2, :2] = 9
    assert (images == 9).all()
    assert set(np.unique(planted(1.0)[:, 0, 0])) == {0, 85, 170, 255}


def test_the_input_images_are_not_changed():
    images = np.zeros((1, 12, 12, 3), np.uint8)
    Shortcut(TABLE, ROWS, rate=1.0, seed=0, image_size=12)(images, np.array([0]))
    assert not images.any()


@pytest.mark.parametrize("rate", [0.0, 0.6, 0.95, 1.0])
def test_the_share_that_shows_the_true_class(rate):
    right = told(planted(rate)) == TABLE.class_ids
    for split in ("train", "val"):
        assert right[TABLE.rows(split)].mean() == pytest.approx(rate, abs=0.05)
    if rate in (0.0, 1.0):
        assert set(right[TABLE.rows("train")]) == {bool(rate)}


def test_in_test_the_patch_is_random():
    rows = TABLE.rows("test")
    shown, labels = told(planted(1.0))[rows], TABLE.class_ids[rows]
    joint = np.array([[((shown == s) & (labels == k)).mean() for s in range(4)] for k in range(4)])
    assert joint == pytest.approx(1 / 16, abs=0.02)


def test_wrong_patches_show_every_other_class():
    rows = TABLE.rows("train")
    shift = (told(planted(0.0)) - TABLE.class_ids)[rows] % 4
    assert np.bincount(shift, minlength=4)[1:] / len(rows) == pytest.approx(1 / 3, abs=0.05)


def test_the_patch_depends_on_the_example_not_the_row():
    rows = np.random.default_rng(1).permutation(len(TABLE)) + 3
    moved = planted(0.5, rows=rows)
    assert np.array_equal(moved, planted(0.5))
    assert not np.array_equal(planted(0.5, seed=1), planted(0.5))


def test_a_rate_out_of_range_is_refused():
    with pytest.raises(ValueError, match=r"`shortcut` must be in \[0, 1\]"):
        planted(1.1)


def test_val_can_be_treated_like_test():
    images = np.full((len(ROWS), 12, 12, 3), 9, np.uint8)
    as_train = Shortcut(TABLE, ROWS, rate=1.0, seed=0, image_size=12)(images, ROWS)
    as_test = Shortcut(TABLE, ROWS, rate=1.0, seed=0, image_size=12, in_val=False)(images, ROWS)
    val, others = TABLE.rows("val"), np.r_[TABLE.rows("train"), TABLE.rows("test")]
    assert (told(as_train)[val] == TABLE.class_ids[val]).all()
    assert abs((told(as_test)[val] == TABLE.class_ids[val]).mean() - 0.25) < 0.05
    np.testing.assert_array_equal(as_train[others], as_test[others])
