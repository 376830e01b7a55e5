"""Deep Feature Reweighting on hand-computed values."""

from __future__ import annotations

import numpy as np
import pytest

from proxy_keras.robust.dfr import CANDIDATES, balanced_draw, dfr
from proxy_keras.robust.groups import group_sizes, worst_group_accuracy


def test_draws_have_as_many_of_each_group_as_the_smallest_and_none_unknown() -> None:
    groups = np.array([0, 0, 0, 1, 1, -1, 0, -1])
    seen = set()
    for seed in range(20):
        drawn = balanced_draw(groups, count=2, rng=np.random.default_rng(seed))
        assert groups[drawn].tolist() in ([0, 0, 1, 1], [0, 1, 1, 0])
        seen |= set(drawn.tolist())
    assert seen == {0, 1, 2, 3, 4, 6}


def test_a_group_without_examples_is_named() -> None:
    assert group_sizes(np.array([1, 0, 1, -1]), count=2).tolist() == [1, 2]
    with pytest.raises(ValueError, match=r"none of the group ids \[1\]"):
        group_sizes(np.array([0, -1, 2]), count=3)


def test_the_worst_group_is_the_one_with_the_lowest_share() -> None:
    is_correct = np.array([True, False, True, True, False])
    groups = np.array([0, 0, 1, 1, -1])
    assert worst_group_accuracy(is_correct, groups, count=3) == 0.5


def _spurious(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return features, labels and groups: the second feature gives the class in 90%."""
    labels = np.arange(count) % 2
    agrees = rng.random(count) < 0.9
    sides = np.where(agrees, labels, 1 - labels)
    features = np.stack([2.0 * labels - 1.0, 3.0 * (2.0 * sides - 1.0)], axis=1)
    noise = rng.normal(size=(count, 2)) * [0.7, 0.1]
    return (features + noise).astype(np.float32), labels, 2 * labels + sides


def test_a_spurious_feature_gets_no_weight_where_groups_are_balanced() -> None:
    features, labels, groups = _spurious(np.random.default_rng(0), 400)
    groups[:5] = -1
    options = {"num_classes": 2, "num_groups": 4}
    layer, c = dfr(features, labels, groups, **options, seed=3)
    core, spurious = np.abs(np.diff(layer.kernel, axis=1))[:, 0]
    assert core > 20.0 * spurious and c in CANDIDATES
    worst = worst_group_accuracy(
        np.argmax(layer.logits(features), axis=1) == labels, groups, count=4
    )
    assert worst > 0.8
    again, _ = dfr(features, labels, groups, **options, seed=3)
    np.testing.assert_array_equal(layer.kernel, again.kernel)


def test_a_strong_penalty_leaves_the_biases_of_balanced_classes() -> None:
    features, labels, groups = _spurious(np.random.default_rng(1), 100)
    layer, c = dfr(features, labels, groups, num_classes=2, num_groups=4, draws=2, c=1e-3)
    assert c == 1e-3 and np.all(layer.kernel == 0.0)
    assert layer.bias[0] == pytest.approx(layer.bias[1], abs=1e-6)
