"""Hide-and-Seek and GridMask on small grids."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy_keras.augment import grids

SEED = tf.constant([3, 0], tf.int64)


def test_each_image_has_its_own_number_of_cells():
    cells = tf.reshape(tf.range(32), [2, 4, 4])
    made = grids.cells_to_pixels(cells, tf.constant([2, 4]), 4, 8)
    np.testing.assert_array_equal(
        made[0, :, :, 0], [[0] * 4 + [1] * 4] * 2 + [[4] * 4 + [5] * 4] * 2
    )
    np.testing.assert_array_equal(made[1, :, :, 0], np.arange(16, 32).reshape(4, 4).repeat(2, 1))


def test_hidden_cells_show_the_fill(monkeypatch):
    hidden = tf.constant([[[0.4, 0.6], [0.6, 0.4]]])
    monkeypatch.setattr(grids, "uniform", lambda *_: hidden)
    images = tf.fill([1, 4, 4, 3], 9.0)
    layer = grids.HideAndSeek(hide=0.5, cells=[2], fill=(1, 2, 3))
    made, _ = layer(images, tf.ones([1, 1]), SEED)
    is_hidden = np.kron([[1, 0], [0, 1]], np.ones([2, 2])) > 0
    np.testing.assert_array_equal(made[0][is_hidden], [[1, 2, 3]] * 8)
    np.testing.assert_array_equal(made[0][~is_hidden], [[9, 9, 9]] * 8)


@pytest.mark.parametrize(("hide", "share"), [(0.0, 0.0), (0.5, 0.5), (1.0, 1.0)])
def test_hide_is_the_hidden_share(hide, share):
    made, _ = grids.HideAndSeek(hide=hide, fill=0.0)(
        tf.ones([50, 28, 28, 3]), tf.ones([50, 1]), SEED
    )
    assert abs(1.0 - float(tf.reduce_mean(made)) - share) < 0.04


def test_squares_of_2_are_removed_from_units_of_4_at_ratio_half():
    is_out = grids.grid(
        8, 8, tf.constant([4.0]), 0.5, tf.constant([[1.0, 0.0]]), tf.constant([0.0])
    )
    rows = np.array([0, 1, 1, 0, 0, 1, 1, 0])
    columns = np.array([1, 1, 0, 0, 1, 1, 0, 0])
    np.testing.assert_array_equal(is_out[0, :, :, 0], np.outer(rows, columns) > 0)


def test_the_grid_can_be_rotated_by_90_degrees():
    starts = tf.constant([[1.0, 0.0]])
    plain, turned = (
        grids.grid(9, 9, tf.constant([4.0]), 0.5, starts, tf.constant([angle]))[0, :, :, 0]
        for angle in (0.0, math.pi / 2)
    )
    assert np.array_equal(np.rot90(plain), turned) or np.array_equal(np.rot90(plain, -1), turned)


@settings(max_examples=20, deadline=None)
@given(ratio=st.sampled_from([0.25, 0.5, 0.75]), number=st.integers(0, 99))
def test_the_removed_share_is_1_minus_the_ratio_squared(ratio, number):
    layer = grids.GridMask(ratio=ratio, unit=(0.25, 0.25), degrees=0.0)
    made, _ = layer(tf.ones([2, 32, 32, 3]), tf.ones([2, 1]), tf.constant([number, 0], tf.int64))
    np.testing.assert_allclose(1.0 - made.numpy().mean(axis=(1, 2, 3)), (1 - ratio) ** 2, atol=1e-6)


def test_at_ratio_1_nothing_is_removed():
    images = tf.ones([2, 16, 16, 3])
    np.testing.assert_array_equal(
        grids.GridMask(ratio=1.0)(images, tf.ones([2, 1]), SEED)[0], images
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: grids.HideAndSeek(cells=()), "`cells` must be whole numbers >= 1"),
        (lambda: grids.HideAndSeek(hide=2), "`hide` must be in"),
        (lambda: grids.GridMask(unit=(0.0, 1.0)), "`unit` must be"),
        (lambda: grids.GridMask(degrees=200), "`degrees` must be in"),
    ],
)
def test_options_are_checked(make, message):
    with pytest.raises(ValueError, match=message):
        make()
