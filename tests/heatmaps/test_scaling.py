"""Scaling, smoothing and enlarging of heatmaps."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.ndimage import gaussian_filter

from proxy_keras.heatmaps.scaling import enlarge, normalise, smooth


def test_normalise_uses_each_maps_own_extremes():
    maps = tf.constant([[[1.0, 3.0], [2.0, 5.0]], [[-4.0, 0.0], [0.0, 4.0]]])
    expected = [[[0, 0.5], [0.25, 1]], [[0, 0.5], [0.5, 1]]]
    np.testing.assert_allclose(normalise(maps), expected, atol=1e-7)


@pytest.mark.parametrize("value", [0.0, 3.5, -1e30])
def test_constant_map_becomes_zeros(value):
    np.testing.assert_array_equal(normalise(tf.fill([1, 2, 2], value)), np.zeros((1, 2, 2)))


def test_normalise_survives_the_whole_float_range():
    top = np.finfo(np.float32).max
    np.testing.assert_array_equal(normalise(tf.constant([[[-top, top]]])), [[[0.0, 1.0]]])


def test_enlarge_has_half_pixel_centres():
    # Centres of two cells over four pixels lie at 1 and 3; pixel centres at 0.5, 1.5, 2.5, 3.5.
    enlarged = enlarge(tf.constant([[[0.0, 1.0]]]), (1, 4))
    np.testing.assert_allclose(enlarged, [[[0.0, 0.25, 0.75, 1.0]]], atol=1e-7)


@pytest.mark.parametrize(
    ("cells", "size"), [((7, 7), (224, 224)), ((1, 3), (5, 9)), ((8, 8), (8, 8)), ((9, 4), (3, 6))]
)
def test_enlarge_is_tensorflows_resize(cells, size):
    maps = np.random.default_rng(0).random((5, *cells), np.float32)
    expected = tf.image.resize(maps[..., np.newaxis], size)[..., 0]
    np.testing.assert_allclose(enlarge(tf.constant(maps), size), expected, atol=1e-6)


def test_enlarge_does_not_depend_on_the_batch():
    # Thresholds computed from some maps in one batch are compared with others in another.
    maps = tf.constant(np.random.default_rng(0).random((33, 7, 7), np.float32))
    all_at_once = enlarge(maps, (224, 224)).numpy()
    traced = tf.function(lambda part: enlarge(part, (224, 224)))
    for start, stop in ((0, 1), (3, 6), (16, 33)):
        np.testing.assert_array_equal(traced(maps[start:stop]), all_at_once[start:stop])


def test_enlarge_keeps_full_heat_full():
    np.testing.assert_array_equal(enlarge(tf.ones([1, 7, 5]), (101, 224)), np.ones([1, 101, 224]))


@pytest.mark.parametrize("sigma", [0.5, 1.0, 3.0])
def test_smooth_is_scipys_gaussian(sigma):
    maps = np.random.default_rng(0).random((2, 7, 5), np.float32)
    expected = [gaussian_filter(m, sigma, radius=int(np.ceil(3 * sigma))) for m in maps]
    np.testing.assert_allclose(smooth(tf.constant(maps), sigma), expected, atol=1e-6)


def test_smooth_of_zero_changes_nothing_and_negative_is_refused():
    maps = tf.ones([1, 2, 2])
    assert smooth(maps, 0.0) is maps
    with pytest.raises(ValueError, match="`smooth` must be >= 0"):
        smooth(maps, -1.0)
