"""Tests, intervals and effect sizes match published values and other libraries."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import ttost_paired

from tuner.comparing import paired_tests

# Student's (1908) hours of sleep under two drugs, the usual example of a paired test.
DRUG_1 = np.array([0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0])
DRUG_2 = np.array([1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4])
SLEEP = DRUG_1 - DRUG_2

values = st.floats(-5.0, 5.0).map(lambda x: round(x, 3))
p_values = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=12)


def test_student_s_example_has_its_published_numbers():
    assert paired_tests.paired_t_test(SLEEP) == pytest.approx(0.002833, abs=1e-6)
    low, high = paired_tests.mean_interval(SLEEP)
    assert (low, high) == (pytest.approx(-2.4598858), pytest.approx(-0.7001142))


def test_an_interval_by_hand():
    # mean 2, sd 1, t(0.975, 2) = 4.302653: 2 +- 4.302653 / sqrt(3)
    low, high = paired_tests.mean_interval([1.0, 2.0, 3.0])
    assert (low, high) == (pytest.approx(-0.484138, abs=1e-6), pytest.approx(4.484138, abs=1e-6))


@settings(deadline=None)
@given(st.lists(values, min_size=2, max_size=12))
def test_tests_and_intervals_are_those_of_scipy_and_statsmodels(differences):
    array = np.array(differences)
    if array.std() < 1e-3:
        return
    zeros = np.zeros(len(array))
    assert paired_tests.paired_t_test(array) == pytest.approx(stats.ttest_rel(array, zeros).pvalue)
    low, high = paired_tests.mean_interval(array)
    theirs = stats.t.interval(0.95, len(array) - 1, array.mean(), stats.sem(array))
    assert (low, high) == pytest.approx(theirs)
    same = ttost_paired(array, zeros, -1.0, 1.0)[0]
    assert paired_tests.equivalence_test(array, 1.0) == pytest.approx(same)


@settings(deadline=None)
@given(st.lists(values, min_size=2, max_size=5))
def test_swapping_the_arms_changes_the_sign_and_no_p_value(differences):
    array = np.array(differences)
    low, high = paired_tests.mean_interval(array)
    assert paired_tests.mean_interval(-array) == (pytest.approx(-high), pytest.approx(-low))
    assert paired_tests.paired_t_test(array) == pytest.approx(paired_tests.paired_t_test(-array))
    assert paired_tests.sign_flip_test(array) == paired_tests.sign_flip_test(-array)
    size, swapped = paired_tests.effect_size(array), paired_tests.effect_size(-array)
    if size is not None and swapped is not None and abs(size.dz) < 50.0:
        assert swapped.hedges_g == pytest.approx(-size.hedges_g)
        assert (swapped.low, swapped.high) == (
            pytest.approx(-size.high, abs=1e-3),
            pytest.approx(-size.low, abs=1e-3),
        )


@settings(deadline=None)
@given(st.lists(values, min_size=3, max_size=3), st.floats(0.0, 0.5))
def test_what_a_seed_does_to_both_arms_drops_out(points, shift):
    a, b = np.array(points) / 20.0 + 0.25, np.array([0.1, 0.2, 0.3])
    shifts = shift * np.arange(3)
    moved = paired_tests.paired_differences(a + shifts, b + shifts)
    assert np.array_equal(moved, paired_tests.paired_differences(a, b)) or np.allclose(
        moved, paired_tests.paired_differences(a, b), atol=2e-9
    )


def test_equal_differences_are_equal_numbers():
    differences = paired_tests.paired_differences([0.3, 0.7, 0.1], [0.2, 0.6, 0.0])
    assert differences.tolist() == [10.0, 10.0, 10.0]
    assert str(paired_tests.paired_differences([0.1], [0.1 + 1e-17])[0]) == "0.0"


@pytest.mark.parametrize("n", [2, 5])
def test_equal_differences_have_no_t_test(n):
    assert paired_tests.paired_t_test(np.zeros(n)) == 1.0
    assert paired_tests.paired_t_test(np.full(n, 0.1)) == 2.0 ** (1 - n)
    assert paired_tests.equivalence_test(np.zeros(n), 1.0) == 0.0
    assert paired_tests.equivalence_test(np.full(n, 0.1), 1.0) == 1.0
    assert paired_tests.mean_interval(np.full(n, 0.1)) == (0.1, 0.1)
    assert paired_tests.effect_size(np.full(n, 0.1)) is None


@pytest.mark.parametrize("test", [paired_tests.paired_t_test, paired_tests.mean_interval])
def test_one_difference_is_refused(test):
    with pytest.raises(ValueError, match="2 values or more. Received: 1"):
        test([1.0])


def test_the_sign_flip_test_by_hand():
    # |sums| of all flips of (1, 2, 4): 7, 5, 3, 1, each twice.
    assert paired_tests.sign_flip_test([1.0, 2.0, 4.0]) == 2 / 8
    assert paired_tests.sign_flip_test([1.0, 2.0, -4.0]) == 8 / 8
    assert paired_tests.sign_flip_test([-1.0, 2.0, 4.0]) == 4 / 8
    assert paired_tests.sign_flip_test([1.0, 1.0, 1.0, 1.0, 1.0]) == 0.0625
    assert paired_tests.sign_flip_test([0.0, 0.0]) == 1.0
    with pytest.raises(ValueError, match="Received: 0"):
        paired_tests.sign_flip_test([])


@settings(deadline=None)
@given(st.lists(st.integers(-4, 4), min_size=1, max_size=8))
def test_the_sign_flip_test_counts_all_flips_and_their_ties(tenths):
    signs = itertools.product((-1, 1), repeat=len(tenths))
    sums = [abs(sum(s * x for s, x in zip(flip, tenths, strict=True))) for flip in signs]
    expected = sum(total >= abs(sum(tenths)) for total in sums) / len(sums)
    assert paired_tests.sign_flip_test([x / 10 for x in tenths]) == expected


def test_random_flips_come_near_all_flips():
    draw = np.random.default_rng(0)
    differences = draw.normal(0.4, 1.0, 17)
    theirs = stats.permutation_test(
        (differences,), np.mean, permutation_type="samples", n_resamples=2**17
    )
    assert paired_tests.sign_flip_test(differences) == pytest.approx(theirs.pvalue, abs=0.005)
    assert paired_tests.sign_flip_test(differences) == paired_tests.sign_flip_test(differences)
    # No random flip reaches 40 equal differences: the p-value is the least there is, but not 0.
    assert paired_tests.sign_flip_test(np.ones(40)) == 1 / 100_000


def test_holm_by_hand():
    adjusted = paired_tests.holm([0.01, 0.04, 0.03, 0.005])
    assert adjusted == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert paired_tests.holm([]).size == 0


@pytest.mark.parametrize("size", [1, 2, 5, 8, 12])
def test_holm_is_that_of_statsmodels(size):
    p = np.random.default_rng(size).uniform(0.0, 0.3, size).round(2)
    assert paired_tests.holm(p) == pytest.approx(multipletests(p, method="holm")[1])


@settings(deadline=None)
@given(p_values)
def test_holm_keeps_the_order_and_its_bounds(p):
    adjusted, order = paired_tests.holm(p), np.argsort(p)
    assert np.all(np.diff(adjusted[order]) >= 0.0)
    assert np.all(adjusted >= np.array(p))
    assert np.all(adjusted <= np.minimum(1.0, len(p) * np.array(p)))
    assert np.array_equal(paired_tests.holm([p, p]), [adjusted, adjusted])


def test_hedges_factor_is_the_published_one():
    size = paired_tests.effect_size(SLEEP)
    # Hedges (1981), table 1: c(9) = 0.9139.
    assert size.dz == pytest.approx(-1.2846, abs=1e-4)
    assert size.hedges_g / size.dz == pytest.approx(0.9139, abs=1e-4)


def test_the_effect_size_s_interval_inverts_the_noncentral_t():
    size = paired_tests.effect_size(SLEEP)
    t, root = size.dz * np.sqrt(10), np.sqrt(10)
    assert stats.nct.sf(t, 9, size.low * root) == pytest.approx(0.025, abs=1e-4)
    assert stats.nct.cdf(t, 9, size.high * root) == pytest.approx(0.025, abs=1e-4)
    assert paired_tests.effect_size([1.0, 2.0]) is None


@pytest.mark.parametrize("step", [1e-1, 1e-3, 1e-5, 1e-9])
def test_a_huge_effect_still_has_an_interval(step):
    size = paired_tests.effect_size([10.0, 10.0 + step, 10.0 + 2.0 * step])
    assert 0.0 < size.low < size.hedges_g < size.high < np.inf
    swapped = paired_tests.effect_size([-10.0, -10.0 - step, -10.0 - 2.0 * step])
    assert (swapped.low, swapped.high) == pytest.approx((-size.high, -size.low), rel=1e-3)


@pytest.mark.parametrize("df", [1, 4, 30])
@pytest.mark.parametrize("p", [0.025, 0.2, 0.975])
@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_the_noncentrality_has_no_step_where_its_rule_changes(df, p, sign):
    near, far = (paired_tests.noncentrality(df, p, sign * t) for t in (1000.0, 1000.1))
    assert far == pytest.approx(near, rel=2e-3)
