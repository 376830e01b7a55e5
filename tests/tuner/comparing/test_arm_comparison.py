"""Statistics of studies: summaries, paired seeds, correction and outcomes."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tests.tuner.made_up_results import ARMS, results, simulated
from tuner.comparing import paired_tests
from tuner.comparing.analysis import analyse
from tuner.comparing.arm_comparison import planned_comparisons

SMALL = {"none": [80.0, 81.0, 82.0], "proxy": [83.0, 84.5, 84.5]}


def test_the_plan_is_all_against_the_reference_and_proxies_against_their_controls():
    assert planned_comparisons(["none", "proxy_a", "proxy_b", "erasing", "cutmix"]) == [
        ("proxy_a", "none"),
        ("proxy_b", "none"),
        ("erasing", "none"),
        ("cutmix", "none"),
        ("proxy_a", "erasing"),
        ("proxy_b", "erasing"),
    ]
    assert len(planned_comparisons(ARMS)) == 8
    assert planned_comparisons(["none"]) == []


def test_an_arm_with_a_method_is_compared_with_each_alone_and_its_own_controls():
    arms = ["none", "proxy", "class_balanced", "proxy+class_balanced"]
    mask = "random_mask+class_balanced"
    pairs = planned_comparisons([*arms, "random_mask", mask])
    both = [control for arm, control in pairs if arm == "proxy+class_balanced"]
    assert both == ["none", mask, "proxy", "class_balanced"]
    assert [control for arm, control in pairs if arm == mask] == ["none"]
    assert ("proxy", "random_mask") in pairs and ("proxy", mask) not in pairs


def test_controls_belong_to_the_proxies_of_their_preset():
    arms = ["none", "proxy", "proxy:thesis", "random_mask", "random_mask:thesis", "proxies_off"]
    assert planned_comparisons(arms)[5:] == [
        ("proxy", "random_mask"),
        ("proxy", "proxies_off"),
        ("proxy:thesis", "random_mask:thesis"),
    ]


def test_a_small_study_by_hand():
    study = analyse(results(SMALL))
    none, proxy = study.arms
    assert (none.n, none.mean, none.sd, none.missing) == (3, 81.0, pytest.approx(1.0), 0)
    assert (none.low, none.high) == (pytest.approx(78.5159, abs=1e-4), pytest.approx(83.4841))
    assert (none.cpu_ratio, proxy.cpu_ratio) == (1.0, 1.25)
    assert (none.proxies_made, proxy.proxies_made, none.replaced) == (None, 100.0, None)
    (pair,) = study.comparisons
    assert pair.differences == (3.0, 3.5, 2.5) and pair.seeds == (0, 1, 2)
    assert (pair.mean, pair.sd, pair.is_same_sign) == (3.0, pytest.approx(0.5), True)
    assert pair.p == pytest.approx(stats.ttest_rel(*SMALL.values()).pvalue)
    assert (pair.p_holm, pair.p_sign_flip, pair.outcome) == (pair.p, 0.25, "better")


def test_the_reference_comes_first_and_can_be_another():
    study = analyse(results(SMALL), reference="proxy")
    assert [arm.arm for arm in study.arms] == ["proxy", "none"]
    assert study.comparisons[0].outcome == "worse"
    assert study.arms[1].cpu_ratio == 0.8


def test_only_common_seeds_are_paired_and_the_missing_counted():
    table = results({"none": [80.0, None, 82.0, 83.0], "proxy": [None, 81.0, 85.0, 85.5]})
    study = analyse(table.iloc[::-1])
    assert study.seeds == (0, 1, 2, 3) and study.missing == 2
    (pair,) = study.comparisons
    assert (pair.seeds, pair.differences, pair.missing) == ((2, 3), (3.0, 2.5), 2)
    told = analyse(table, arms=["none", "proxy", "erasing"], seeds=range(5))
    assert told.missing == 2 + 2 + 5
    assert [arm.mean for arm in told.arms][2] is None
    assert told.comparisons[1].outcome == "untested"


def test_a_run_without_an_accuracy_is_missing():
    table = results(SMALL)
    table.loc[(table["arm"] == "proxy") & (table["seed"] == 1), "test_accuracy"] = np.nan
    study = analyse(table)
    assert study.missing == 1 and study.comparisons[0].differences == (3.0, 2.5)


@pytest.mark.parametrize("count", [0, 1])
def test_with_fewer_than_two_seeds_nothing_is_told(count):
    table = results({"none": [80.0, 81.0], "proxy": [82.0, None][:count]})
    pair = analyse(table, arms=["none", "proxy"]).comparisons[0]
    assert pair.n == count and pair.outcome == "untested"
    numbers = (pair.low, pair.high, pair.sd, pair.p, pair.p_holm, pair.p_sign_flip, pair.p_same)
    assert set(numbers) == {None} and pair.power is None and pair.effect is None
    assert pair.mean == ([2.0][0] if count else None) and pair.is_same_sign is (count == 1)


def test_arms_equal_bit_for_bit_are_identical():
    pair = analyse(results({"none": [80.0, 81.1], "proxies_off": [80.0, 81.1]})).comparisons[0]
    assert (pair.outcome, pair.p, pair.sd, pair.low, pair.high) == ("identical", 1.0, 0.0, 0.0, 0.0)
    assert pair.power is None and not pair.is_same_sign


def test_equal_differences_of_few_seeds_prove_nothing():
    pair = analyse(results({"none": [80.0, 81.0], "proxy": [80.1, 81.1]})).comparisons[0]
    assert (pair.outcome, pair.mean, pair.sd, pair.p) == ("unshown", 0.1, 0.0, 0.5)
    assert (pair.low, pair.high, pair.effect, pair.power) == (None, None, None, None)


def test_sameness_must_be_shown():
    none = [80.0, 81.0, 82.0, 80.5, 81.5]
    near = [80.1, 80.9, 82.1, 80.4, 81.6]
    far = [81.2, 79.8, 83.3, 79.2, 82.6]
    study = analyse(results({"none": none, "near": near, "far": far}))
    assert [pair.outcome for pair in study.comparisons] == ["same", "unshown"]
    strict = analyse(results({"none": none, "near": near}), effect_points=0.05)
    assert strict.comparisons[0].outcome == "unshown"


def test_a_comparison_that_cannot_be_tested_yet_counts_in_the_family():
    alone = analyse(results(SMALL)).comparisons[0]
    planned = analyse(results(SMALL), arms=["none", "proxy", "erasing"]).comparisons
    assert len(planned) == 3
    assert planned[0].p == alone.p and planned[0].p_holm == pytest.approx(3 * alone.p)
    assert planned[0].power.comparisons == 3


def test_the_plan_can_be_given():
    study = analyse(results(SMALL), comparisons=[("none", "proxy"), ("proxy", "never_run")])
    assert [pair.outcome for pair in study.comparisons] == ["worse", "untested"]


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(-200, 200), min_size=3, max_size=3))
def test_what_a_seed_does_to_all_arms_changes_no_comparison(tenths):
    moved = {
        arm: [value + tenth / 20 for value, tenth in zip(values, tenths, strict=True)]
        for arm, values in SMALL.items()
    }
    a, b = (analyse(results(table)).comparisons[0] for table in (SMALL, moved))
    assert a.differences == pytest.approx(b.differences, abs=1e-8)
    assert a.p == pytest.approx(b.p, abs=1e-8)


def test_wrong_tables_are_refused():
    table = results(SMALL)
    with pytest.raises(ValueError, match=r"Missing: \['seconds'\]"):
        analyse(table.drop(columns="seconds"))
    with pytest.raises(ValueError, match="Duplicate: none, seed 0"):
        analyse(pd.concat([table, table.iloc[:1]]))
    with pytest.raises(ValueError, match=r"must be in \[0, 1\]"):
        analyse(table.assign(test_accuracy=80.0))
    with pytest.raises(ValueError, match="must be > 0"):
        analyse(table, effect_points=0.0)


def test_of_200_null_studies_at_most_6_per_cent_raise_an_alarm():
    alarms = 0
    for study in simulated(200, seed=0):
        table = results(dict(zip(ARMS, study, strict=True)))
        outcomes = {pair.outcome for pair in analyse(table).comparisons}
        alarms += bool(outcomes & {"better", "worse"})
    assert alarms <= 12


def corrected(studies):
    """Return Holm-corrected p-values [studies, comparisons], as in `analyse`."""
    sides = np.array([[ARMS.index(arm) for arm in pair] for pair in planned_comparisons(ARMS)])
    differences = paired_tests.paired_differences(
        studies[:, sides[:, 0]] / 100.0, studies[:, sides[:, 1]] / 100.0
    )
    return paired_tests.holm(paired_tests.paired_t_test(differences))


def test_many_studies_at_once_are_what_one_is():
    studies = simulated(3, seed=1)
    for study, p in zip(studies, corrected(studies), strict=True):
        table = results(dict(zip(ARMS, study, strict=True)))
        assert [pair.p_holm for pair in analyse(table).comparisons] == pytest.approx(p)


@pytest.mark.parametrize("kind", ["normal", "heavy", "skewed"])
def test_false_alarms_stay_in_bounds_over_many_null_studies(kind):
    p = corrected(simulated(5_000, seed=2, kind=kind))
    assert np.mean((p <= 0.05).any(axis=1)) <= 0.06


def test_a_true_effect_is_found():
    # A standard deviation of 0.5 per run makes 0.7 between paired runs.
    p = corrected(simulated(200, seed=3, sd=0.5, effect=3.0))
    assert np.mean(p[:, 0] <= 0.05) >= 0.95
