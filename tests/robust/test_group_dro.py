"""Group DRO on hand-computed values."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from proxy_keras.data.groups import Groups
from proxy_keras.robust.group_dro import GroupWeights

GROUPS = Groups(("a", "b"), np.array([0, 0, 0, 0, 1, -1], np.int32))


def test_weights_follow_the_losses_of_the_groups() -> None:
    dro = GroupWeights(GROUPS, step=np.log(2.0))
    losses, groups = tf.constant([1.0, 3.0, 1.0, 9.0]), tf.constant([0, 0, 1, -1])
    # Means 2 and 1: the weights 1/2 and 1/2 become 4 : 2.
    assert dro.loss(losses, groups).numpy() == pytest.approx((4 * 2.0 + 2 * 1.0) / 6)
    np.testing.assert_allclose(dro.weights, [4 / 6, 2 / 6], rtol=1e-6)
    # Without an example of group 1, its weight falls only as weights are scaled: 4 * 2 : 2.
    assert dro.loss(losses[2:3], tf.constant([0])).numpy() == pytest.approx(0.8)
    np.testing.assert_allclose(dro.weights, [0.8, 0.2], rtol=1e-6)


def test_the_gradient_is_that_of_the_weighted_means() -> None:
    dro = GroupWeights(GROUPS, step=np.log(2.0))
    losses = tf.Variable([1.0, 3.0, 1.0])
    with tf.GradientTape() as tape:
        loss = dro.loss(losses, tf.constant([0, 0, 1]))
    np.testing.assert_allclose(tape.gradient(loss, losses), [2 / 6, 2 / 6, 2 / 6], rtol=1e-6)


def test_the_adjustment_is_larger_for_small_groups() -> None:
    dro = GroupWeights(GROUPS, step=1.0, adjustment=2.0)
    # 2 / sqrt(4) and 2 / sqrt(1), on losses of 0.
    dro.loss(tf.constant([0.0, 0.0]), tf.constant([0, 1]))
    np.testing.assert_allclose(dro.weights[1] / dro.weights[0], np.e, rtol=1e-5)


def test_its_state_is_its_weights() -> None:
    one, other = (GroupWeights(GROUPS, step=0.5) for _ in range(2))
    one.loss(tf.constant([1.0, 5.0]), tf.constant([0, 1]))
    other.set_state(one.get_state())
    np.testing.assert_array_equal(one.weights, other.weights)
    assert one.weights[1] > 0.5
