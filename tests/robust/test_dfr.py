"""Deep Feature Reweighting on hand-computed values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from proxy_keras.data.groups import Groups
from proxy_keras.robust.dfr import CANDIDATES, balanced_draw, dfr
from proxy_keras.robust.groups import group_sizes


def _groups(ids: Sequence[int], count: int) -> Groups:
    return Groups(tuple(f"group {at}" for at in range(count)), np.array(ids, np.int32))


def test_draws_have_as_many_of_each_group_as_the_smallest_and_none_unknown() -> None:
    groups = _groups([0, 0, 0, 1, 1, -1, 0, -1], 2)
    seen = set()
    for seed in range(20):
        drawn = balanced_draw(groups, np.random.default_rng(seed))
        assert groups.ids[drawn].tolist() in ([0, 0, 1, 1], [0, 1, 1, 0])
        seen |= set(drawn.tolist())
    assert seen == {0, 1, 2, 3, 4, 6}


def test_a_group_without_examples_is_named() -> None:
    assert group_sizes(_groups([1, 0, 1, -1], 2)).tolist() == [1, 2]
    with pytest.raises(ValueError, match="Received: none of group 1"):
        group_sizes(_groups([0, -1, 2], 3))


def _spurious(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray, Groups]:
    """Return features, labels and groups: the second feature gives the class in 90%."""
    labels = np.arange(count) % 2
    agrees = rng.random(count) < 0.9
    sides = np.where(agrees, labels, 1 - labels)
    features = np.stack([2.0 * labels - 1.0, 3.0 * (2.0 * sides - 1.0)], axis=1)
    noise = rng.normal(size=(count, 2)) * [0.7, 0.1]
    return (features + noise).astype(np.float32), labels, _groups(2 * labels + sides, 4)


def test_a_spurious_feature_gets_no_weight_where_groups_are_balanced() -> None:
    features, labels, groups = _spurious(np.random.default_rng(0), 400)
    groups.ids[:5] = -1
    layer, c = dfr(features, labels, groups, num_classes=2, seed=3)
    core, spurious = np.abs(np.diff(layer.kernel, axis=1))[:, 0]
    assert core > 20.0 * spurious and c in CANDIDATES
    is_right = np.argmax(layer.logits(features), axis=1) == labels
    assert min(is_right[groups.ids == group].mean() for group in range(4)) > 0.8
    again, _ = dfr(features, labels, groups, num_classes=2, seed=3)
    np.testing.assert_array_equal(layer.kernel, again.kernel)


def test_a_strong_penalty_leaves_the_biases_of_balanced_classes() -> None:
    features, labels, groups = _spurious(np.random.default_rng(1), 100)
    layer, c = dfr(features, labels, groups, num_classes=2, draws=2, c=1e-3)
    assert c == 1e-3 and np.all(layer.kernel == 0.0)
    assert layer.bias[0] == pytest.approx(layer.bias[1], abs=1e-6)


def test_groups_of_one_image_leave_nothing_to_choose_the_penalty_by() -> None:
    features = np.eye(2, dtype=np.float32)
    with pytest.raises(ValueError, match="needs a group of two images or more"):
        dfr(features, np.array([0, 1]), _groups([0, 1], 2), num_classes=2)
