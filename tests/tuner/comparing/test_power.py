"""Power matches statsmodels and simulated studies."""

import numpy as np
import pytest
from statsmodels.stats.power import TTestPower

from tuner.comparing import paired_tests, power


@pytest.mark.parametrize("seeds", [2, 3, 5, 10, 30])
@pytest.mark.parametrize("comparisons", [1, 8])
@pytest.mark.parametrize("dz", [0.1, 0.7, 1.5])
def test_power_is_that_of_statsmodels(seeds, comparisons, dz):
    alpha = 0.05 / comparisons
    theirs = TTestPower().power(dz, seeds, alpha)
    assert power.paired_t_power(seeds, dz, alpha) == pytest.approx(theirs, abs=1e-9)
    assert power.paired_t_power(seeds, -dz, alpha) == pytest.approx(theirs, abs=1e-9)


def test_a_level_is_the_power_without_an_effect():
    assert power.paired_t_power([2, 5, 50], 0.0, 0.01) == pytest.approx([0.01] * 3)


def test_power_is_a_number_wherever_it_is_asked():
    seeds = np.arange(2, 200)
    for dz in (1e-6, 1.0, 3.0, 20.0, 500.0):
        for alpha in (0.05, 0.05 / 7, 0.05 / 40):
            found = power.paired_t_power(seeds, dz, alpha)
            assert np.all((found >= 0.0) & (found <= 1.0))
            assert np.all(np.diff(found) >= -1e-9)


@pytest.mark.parametrize("seeds", [2, 3, 5, 10, 30])
@pytest.mark.parametrize("alpha", [0.05, 0.05 / 8])
def test_the_detectable_effect_is_found_in_four_of_five(seeds, alpha):
    dz = power.detectable_effect(seeds, alpha)
    assert power.paired_t_power(seeds, dz, alpha) == pytest.approx(0.8, abs=1e-4)


def test_the_seeds_needed_are_the_least_that_do():
    told = power.study_power(5, sd_points=0.7, effect_points=1.0, comparisons=8)
    exact = TTestPower().solve_power(1.0 / 0.7, power=0.8, alpha=0.05 / 8)
    assert told.seeds_needed == int(np.ceil(exact)) == 11
    assert not told.is_enough and told.power < told.power_uncorrected
    assert power.study_power(11, sd_points=0.7, effect_points=1.0, comparisons=8).is_enough
    ten = power.study_power(10, sd_points=0.7, effect_points=1.0, comparisons=8)
    assert 0.7 < ten.power < 0.8 and not ten.is_enough


def test_no_study_without_two_seeds():
    told = power.study_power(1, sd_points=1.0, effect_points=1.0)
    assert (told.power, told.power_uncorrected, told.detectable_points) == (0.0, 0.0, None)


def test_an_effect_too_small_for_any_study_says_so():
    assert power.study_power(5, sd_points=10.0, effect_points=0.1).seeds_needed is None


@pytest.mark.parametrize(
    "wrong",
    [{"sd_points": 0.0}, {"effect_points": -1.0}, {"seeds": -1}, {"comparisons": 0}],
)
def test_numbers_out_of_range_are_refused(wrong):
    given = {"seeds": 5, "sd_points": 1.0, "effect_points": 1.0, "comparisons": 1} | wrong
    with pytest.raises(ValueError, match="must be"):
        power.study_power(given.pop("seeds"), **given)


def test_the_foretold_power_is_what_studies_have():
    differences = np.random.default_rng(0).normal(1.0, 0.7, (20_000, 5))
    found = np.mean(paired_tests.paired_t_test(differences) <= 0.01)
    assert found == pytest.approx(power.paired_t_power(5, 1.0 / 0.7, 0.01), abs=0.01)
