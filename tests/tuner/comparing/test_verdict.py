"""The sentences match the statistics, and claim no more."""

import pytest

from tests.tuner.made_up_results import results
from tuner.comparing.analysis import analyse
from tuner.comparing.power import study_power
from tuner.comparing.verdict import judge, number, p_value, percent, power_warning, signed

NONE = [80.0, 81.0, 82.0, 80.5, 81.5]
UP = [83.0, 84.2, 84.9, 83.6, 84.3]
ALSO_UP = [83.1, 84.0, 85.2, 83.3, 84.5]
HALF_UP = [81.5, 82.4, 83.6, 82.1, 82.9]
DOWN = [78.0, 79.2, 79.9, 78.6, 79.3]
NEAR = [80.1, 80.9, 82.1, 80.4, 81.6]
NOISY = [81.5, 79.5, 84.0, 79.5, 82.5]


def verdict(accuracies, **options):
    return judge(analyse(results(accuracies), **options))


def test_a_difference_that_was_shown():
    (sentence,) = verdict({"none": NONE, "proxy": UP}).comparisons
    assert sentence == (
        "proxy is 3.0 points (95% interval 2.8 to 3.2) better than none on 5 seeds "
        "(Holm p < 0.001)."
    )
    (sentence,) = verdict({"none": NONE, "cutmix": DOWN}).comparisons
    assert sentence == (
        "cutmix is 2.0 points (95% interval 1.8 to 2.2) worse than none on 5 seeds "
        "(Holm p < 0.001)."
    )


def test_without_a_gap_between_groups_no_shortcut_is_found():
    rows = results({"none": NONE, "proxy": UP})
    # Only the plain runs count: 95.0 against 90.5.
    rows["test_adjusted_average"] = [0.94, 0.95, 0.96, 0.95, 0.95] + [0.9] * 5
    rows["test_worst_group_accuracy"] = [0.905] * 5 + [0.1] * 5
    sentence = judge(analyse(rows)).sentence
    assert sentence.startswith(
        "No shortcut was found: the worst group of none is 4.5 points below its adjusted "
        "average, which is less than 5. Training without cues, or by groups, promises nothing "
        "here. proxy is better than none"
    )
    rows["test_worst_group_accuracy"] = 0.9
    assert judge(analyse(rows)).sentence.startswith("proxy is better than none")
    rows["test_adjusted_average"] = None
    assert judge(analyse(rows)).sentence.startswith("proxy is better than none")


def test_a_difference_that_was_not_shown_is_not_called_none():
    (sentence,) = verdict({"none": NONE, "proxy": NOISY}).comparisons
    assert sentence == (
        "No difference was shown between proxy and none: +0.4 points "
        "(95% interval -1.5 to +2.3) on 5 seeds (Holm p = 0.60); "
        "with 5 seeds, an effect below 2.6 points would often be missed."
    )


def test_sameness_is_said_where_it_was_shown():
    (sentence,) = verdict({"none": NONE, "proxy": NEAR}).comparisons
    assert sentence == (
        "proxy and none are the same within 1 point: +0.02 points "
        "(95% interval -0.1 to +0.2) on 5 seeds (equivalence test, Holm p < 0.001)."
    )


def test_a_small_shown_difference_is_called_small():
    (sentence,) = verdict({"none": NONE, "proxy": UP}, effect_points=5.0).comparisons
    assert sentence.endswith("(Holm p < 0.001), which is below the target effect of 5 points.")
    # 3.0 points are below 3.13, but only with p = 0.07.
    (sentence,) = verdict({"none": NONE, "proxy": UP}, effect_points=3.13).comparisons
    assert sentence.endswith("(Holm p < 0.001).")


def test_a_p_value_significant_only_before_correction_is_reported():
    weak = [80.9, 82.9, 82.3, 81.0, 83.0]
    arms = {"none": NONE, "proxy": weak, "erasing": NEAR, "random_mask": NOISY, "cutmix": NOISY}
    sentence = verdict(arms).comparisons[0]
    assert sentence.startswith("No difference was shown between proxy and none: +1.0 points")
    assert (
        "it is significant on its own (p = 0.027), but not after correction for 6 comparisons"
        in sentence
    )


def test_identical_arms_and_arms_without_seeds():
    arms = {"none": NONE, "proxies_off": NONE, "proxy": UP[:1], "erasing": []}
    said = verdict(arms, arms=list(arms)).comparisons
    assert said[0] == "proxies_off and none are identical on all 5 seeds."
    assert said[1] == (
        "proxy differs from none by +3.0 points on their only common seed; "
        "one seed gives no interval and no evidence."
    )
    assert said[2] == "erasing and none have no seed in common yet."


def test_equal_differences_are_told_without_an_interval():
    (few,) = verdict({"none": [80.0, 81.0], "proxy": [80.5, 81.5]}).comparisons
    assert few == (
        "No difference was shown between proxy and none: +0.5 points on each of 2 seeds, "
        "too few to distinguish from chance (Holm p = 0.50)."
    )
    none = [80.0 + seed for seed in range(8)]
    (many,) = verdict({"none": none, "proxy": [x + 0.5 for x in none]}).comparisons
    assert many == "proxy is 0.5 points better than none on each of 8 seeds (Holm p = 0.008)."


@pytest.mark.parametrize(
    ("arms", "sentence"),
    [
        (
            {"none": NONE, "proxy": UP, "random_mask": HALF_UP},
            "proxy is better than none and than its control random_mask; "
            "random_mask is better than none; 3 of 3 planned comparisons show a difference.",
        ),
        (
            {"none": NONE, "proxy": UP, "random_mask": ALSO_UP},
            "proxy is better than none, but was not shown to be better than random_mask, so the "
            "gain cannot be attributed to where the model looked; random_mask is better than none; "
            "2 of 3 planned comparisons show a difference.",
        ),
        (
            {"none": NONE, "proxy": UP},
            "proxy is better than none, but no control explains why; "
            "1 of 1 planned comparisons show a difference.",
        ),
        (
            {"none": NONE, "proxy:a": UP, "proxies_off:a": NONE, "random_mask": HALF_UP},
            "proxy:a is better than none, but no control explains why; "
            "random_mask is better than none; 3 of 4 planned comparisons show a difference.",
        ),
        (
            {"none": NONE, "proxy:a": UP, "random_mask:a": HALF_UP, "erasing:a": HALF_UP},
            "proxy:a is better than none and than its controls random_mask:a and erasing:a; "
            "random_mask:a is better than none; erasing:a is better than none; "
            "5 of 5 planned comparisons show a difference.",
        ),
        (
            {"none": NONE, "proxy": NOISY},
            "No difference was shown between proxy and none; "
            "0 of 1 planned comparisons show a difference.",
        ),
        (
            {"none": NONE, "proxy": DOWN, "erasing": ALSO_UP},
            "proxy is worse than none, while proxy is worse than erasing; "
            "erasing is better than none; 3 of 3 planned comparisons show a difference.",
        ),
        (
            {"none": NONE, "proxy": NEAR},
            "proxy and none are the same within the target effect; "
            "0 of 1 planned comparisons show a difference.",
        ),
        ({"none": NONE}, "The study has one arm and compares nothing."),
        (
            {"none": [80.0], "proxy": [81.0]},
            "No result yet: no comparison has two seeds.",
        ),
    ],
)
def test_the_whole_study_in_one_sentence(arms, sentence):
    assert verdict(arms).sentence == sentence


def test_warnings_of_what_is_missing():
    warnings = verdict({"none": NONE, "proxy": UP}, seeds=range(6)).warnings
    assert warnings == ("The study is not finished: 2 of 12 runs are missing.",)
    warnings = verdict({"none": NONE, "proxy": UP[:1]}).warnings
    assert "1 of 1 comparisons have fewer than 2 seeds." in warnings


def test_a_warning_of_too_few_seeds():
    (warning,) = verdict({"none": NONE, "proxy": NOISY}).warnings
    assert warning == (
        "1 of 1 comparisons have too few seeds. The weakest is proxy against none: 5 seeds "
        "are too few for an effect of 1 point: with a standard deviation of the paired differences "
        "of 1.6 points, the power is 20%. 22 seeds would be needed for 80%."
    )


def test_a_warning_where_the_proxies_that_are_off_change_something():
    (warning,) = verdict({"none": NONE, "proxies_off": UP}).warnings
    assert "check that the arms were trained under equal conditions" in warning


def test_a_plan_can_be_judged_before_it_runs():
    assert power_warning(study_power(5, sd_points=0.2, effect_points=1.0, comparisons=8)) is None
    few = power_warning(study_power(1, sd_points=0.7, effect_points=0.5, comparisons=8))
    assert few.startswith("1 seed is too few for an effect of 0.5 points: ")
    never = power_warning(study_power(5, sd_points=9.0, effect_points=0.1))
    assert never.endswith("More than 1,000 seeds would be needed for 80%.")


def test_numbers_do_not_read_as_what_they_are_not():
    assert [number(x) for x in (1.44, 0.1, 0.04, 0.0)] == ["1.4", "0.1", "0.04", "0.0"]
    assert [signed(x) for x in (-0.96, 0.0, 0.25)] == ["-1.0", "+0.0", "+0.2"]
    assert [p_value(p) for p in (1e-9, 0.0044, 0.25)] == ["p < 0.001", "p = 0.004", "p = 0.25"]
    assert [percent(x) for x in (0.0, 0.001, 0.814, 0.999, 1.0)] == [
        "0%",
        "< 1%",
        "81%",
        "> 99%",
        "100%",
    ]
