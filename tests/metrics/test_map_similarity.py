"""Rank correlation, structure and hottest pixels of batches of heatmaps."""

import numpy as np
import pytest
import scipy.stats
import skimage.metrics
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy_keras.metrics import compare, spearman, ssim, top_k_intersection
from proxy_keras.metrics.map_similarity import pearson

RAMP = np.arange(12.0).reshape(1, 3, 4) / 11


def test_spearman_by_hand():
    # Ranks 1 2 3 4 and 2 1 4 3: differences of one, 1 - 6 * 4 / (4 * 15).
    first = np.array([[[0.1, 0.2], [0.3, 0.4]]])
    second = np.array([[[0.5, 0.4], [0.9, 0.6]]])
    np.testing.assert_allclose(spearman(first, second), [0.6])


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 1000), levels=st.sampled_from([3, 1000]))
def test_spearman_is_scipys_image_by_image(seed, levels):
    first, second = np.random.default_rng(seed).integers(0, levels, (2, 4, 3, 5))
    expected = [
        scipy.stats.spearmanr(one.ravel(), other.ravel()).statistic
        for one, other in zip(first, second, strict=True)
    ]
    np.testing.assert_allclose(spearman(first, second), expected, atol=1e-12)


def test_a_constant_map_correlates_with_a_constant_one_only():
    blank, full = np.zeros_like(RAMP), np.ones_like(RAMP)
    assert spearman(RAMP, blank) == spearman(blank, RAMP) == spearman(RAMP, full) == [0]
    assert spearman(blank, blank) == spearman(blank, full) == [1]
    assert spearman(RAMP, RAMP) == [1]
    assert spearman(RAMP, 1 - RAMP) == [-1]


def test_pearson_by_hand():
    first = np.array([[1.0, 2.0, 3.0], [1.0, 1.0, 1.0], [0.0, 0.0, 1.0]])
    second = np.array([[2.0, 4.0, 6.0], [1.0, 2.0, 3.0], [1.0, 0.0, 0.0]])
    np.testing.assert_allclose(pearson(first, second), [1, 0, -0.5])


def test_ssim_of_one_window_is_the_papers_formula():
    first, second = np.random.default_rng(0).random((2, 1, 3, 3)).astype(np.float32)
    x, y = first.ravel().astype(float), second.ravel().astype(float)
    c1, c2 = 0.01**2, 0.03**2
    covariance = np.cov(x, y)
    expected = ((2 * x.mean() * y.mean() + c1) * (2 * covariance[0, 1] + c2)) / (
        (x.mean() ** 2 + y.mean() ** 2 + c1) * (covariance[0, 0] + covariance[1, 1] + c2)
    )
    np.testing.assert_allclose(ssim(first, second), [expected], atol=1e-6)


def test_ssim_of_larger_maps_is_scikit_images_with_its_own_window():
    first, second = np.random.default_rng(0).random((2, 1, 9, 12)).astype(np.float32)
    expected = skimage.metrics.structural_similarity(first[0], second[0], data_range=1.0)
    np.testing.assert_allclose(ssim(first, second), [expected], atol=1e-6)


@pytest.mark.parametrize("size", [(1, 1), (2, 5), (4, 4), (7, 7), (8, 30)])
def test_ssim_takes_maps_of_any_size(size):
    maps = np.random.default_rng(0).random((2, *size))
    np.testing.assert_allclose(ssim(maps, maps), [1, 1])
    assert (ssim(maps, 1 - maps) < 0.9).all()
    blank = np.zeros_like(maps)
    np.testing.assert_allclose(ssim(blank, blank), [1, 1])


def test_top_k_counts_the_hottest_pixels():
    first = np.arange(20.0).reshape(1, 4, 5)
    second = first.copy()
    # The two hottest, 18 and 19: one of them cools down.
    second[0, 3, 4] = -1
    assert top_k_intersection(first, second) == [0.5]
    assert top_k_intersection(first, first) == [1]
    assert top_k_intersection(first, -first) == [0]
    assert top_k_intersection(first, -first, share=1.0) == [1]
    assert top_k_intersection(first, second, share=0.01) == [0]


def test_a_constant_map_has_no_hottest_pixels():
    blank = np.zeros_like(RAMP)
    assert top_k_intersection(RAMP, blank) == top_k_intersection(blank, RAMP) == [0]
    assert top_k_intersection(blank, blank) == [1]


def test_compare_gives_both():
    maps = np.random.default_rng(0).random((3, 8, 8))
    result = compare(maps, maps[::-1])
    np.testing.assert_array_equal(result.spearman, spearman(maps, maps[::-1]))
    np.testing.assert_array_equal(result.ssim, ssim(maps, maps[::-1]))


@pytest.mark.parametrize("function", [spearman, ssim, top_k_intersection])
def test_maps_of_different_shape_are_refused(function):
    with pytest.raises(ValueError, match="must have the same shape"):
        function(RAMP, RAMP[:, :2])


def test_a_share_outside_its_range_is_refused():
    with pytest.raises(ValueError, match="`share` must be in"):
        top_k_intersection(RAMP, RAMP, share=0.0)
