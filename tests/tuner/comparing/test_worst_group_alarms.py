"""Studies of worst groups without a difference raise few alarms, and with one find it."""

from __future__ import annotations

import numpy as np
import pytest

from tests.tuner.made_up_results import ARMS
from tuner.comparing import paired_tests
from tuner.comparing.arm_comparison import planned_comparisons

PAIRS = planned_comparisons(ARMS)
PLANTED = [
    ([2255, 2255, 642, 642], [0.99, 0.75, 0.55, 0.95]),
    ([100] * 6, [0.7] * 6),
    ([40, 20, 12, 30], [0.8] * 4),
]


def significant(images, accuracies, *, gain=0.0, number=1000):
    """Return whether each comparison of each study is significant, [number, comparisons].

    The accuracy of each group has an effect of the seed and noise of the run, on the scale of log
    odds; `gain` is that of `proxy` there.
    """
    draw = np.random.default_rng(0)
    true = np.array(accuracies)
    shape = (number, len(ARMS), 5, len(images))
    odds = np.log(true / (1.0 - true)) + 0.3 * draw.normal(size=(number, 1, *shape[2:]))
    odds = odds + 0.3 * draw.normal(size=shape)
    odds[:, ARMS.index("proxy")] += gain
    worst = (draw.binomial(images, 1.0 / (1.0 + np.exp(-odds))) / np.array(images)).min(axis=-1)
    first, second = (worst[:, [ARMS.index(pair[side]) for pair in PAIRS]] for side in (0, 1))
    differences = paired_tests.paired_differences(first, second)
    return paired_tests.holm(paired_tests.paired_t_test(differences)) <= paired_tests.ALPHA


@pytest.mark.parametrize(("images", "accuracies"), PLANTED)
def test_at_most_6_per_cent_of_null_studies_raise_an_alarm(images, accuracies):
    assert significant(images, accuracies).any(axis=1).mean() <= 0.06


def test_a_large_gain_of_the_worst_group_is_found():
    found = significant(*PLANTED[0], gain=1.5)
    assert found[:, PAIRS.index(("proxy", "none"))].mean() >= 0.9
