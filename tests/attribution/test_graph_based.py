"""GBVS: equilibria against power iteration, and planted targets."""

import numpy as np
import pytest
import tensorflow as tf

from proxy_keras.attribution.graph_based import GraphBased, _nearness, equilibrium


def power_iteration(weights):
    """Equilibrium of the Markov chain with these transition weights."""
    steps = weights / weights.sum(axis=1, keepdims=True)
    masses = np.full(len(weights), 1 / len(weights))
    for _ in range(2000):
        # Staying with probability 1/2 prevents oscillation between two states.
        masses = (masses + masses @ steps) / 2
    return masses


def test_a_planted_target_is_the_maximum(check_image_saliency):
    check_image_saliency("graph_based")


def test_equilibria_are_those_of_power_iteration():
    features = np.random.default_rng(0).uniform(size=(3, 30)).astype(np.float32)
    near = _nearness(tf.constant([5, 6]), 0.3).numpy()
    close = _nearness(tf.constant([5, 6]), 0.2).numpy()
    expected = []
    for feature in features.astype(float):
        activation = power_iteration(np.abs(feature[:, None] - feature) * near)
        expected.append(power_iteration(activation * close))
    np.testing.assert_allclose(equilibrium(features, near, close), expected, rtol=1e-4)


def test_nearness_falls_with_distance_and_no_cell_has_more_of_it():
    near = _nearness(tf.constant([6, 4]), 0.3).numpy()
    np.testing.assert_allclose(near, near.T, rtol=1e-5)
    np.testing.assert_allclose(near.sum(axis=1), 1, rtol=1e-3)
    assert near[0, 1] > near[0, 2] > near[0, 3]
    np.testing.assert_allclose(near[9, 10] / near[9, 13], 1, rtol=0.2)


def test_a_feature_without_differences_has_no_equilibrium():
    near = _nearness(tf.constant([3, 3]), 0.15)
    features = tf.constant([[0.5] * 9, [0.5] * 8 + [0.50001], [0.5] * 8 + [0.9]])
    sums = tf.reduce_sum(equilibrium(features, near, near), axis=1)
    np.testing.assert_allclose(sums, [0, 0, 1], atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cells": 3}, "`cells` must be >= 4. Received: 3"),
        ({"blur": -1}, "`blur` must be >= 0.*Received: -1"),
    ],
)
def test_options_outside_their_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        GraphBased(**options)
