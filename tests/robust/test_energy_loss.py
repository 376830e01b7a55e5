"""The energy loss on hand-computed values."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from proxy_keras.robust.energy_loss import energy_loss, positive_attributions


def test_the_loss_is_the_mean_share_of_heat_outside_known_objects() -> None:
    heat = tf.constant([[[3.0, 1.0]], [[2.0, 2.0]], [[5.0, 5.0]], [[0.0, 0.0]]])
    objects = tf.constant([[[1.0, 0.0]], [[0.5, 0.0]], [[0.0, 0.0]], [[1.0, 0.0]]])
    # 1/4 outside; 3/4 outside; unknown; no heat.
    assert energy_loss(heat, objects).numpy() == pytest.approx(0.5)
    assert energy_loss(heat[2:], objects[2:]).numpy() == 0.0


def test_its_gradient_moves_heat_into_the_object() -> None:
    heat, objects = tf.Variable([[[3.0, 1.0]]]), tf.constant([[[1.0, 0.0]]])
    with tf.GradientTape() as tape:
        loss = energy_loss(heat, objects)
    # Of 1 - a / (a + b) at a = 3, b = 1: -b / 16 and a / 16.
    np.testing.assert_allclose(tape.gradient(loss, heat), [[[-0.0625, 0.1875]]])


def test_attributions_are_the_positive_sums_over_channels() -> None:
    maps = tf.constant([[[[1.0, 2.0], [1.0, 2.0]]]])
    gradients = tf.constant([[[[3.0, -1.0], [0.5, -1.0]]]])
    np.testing.assert_array_equal(positive_attributions(maps, gradients), [[[1.0, 0.0]]])
