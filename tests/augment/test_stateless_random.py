"""Random numbers: their distributions, determined by the seed alone."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from proxy_keras.augment import stateless_random

SEED = tf.constant([3, 0], tf.int64)


@pytest.mark.parametrize("alpha", [0.05, 0.3, 1.0, 4.0])
def test_beta_has_its_mean_and_variance(alpha):
    drawn = stateless_random.beta([20000], SEED, alpha).numpy()
    assert drawn.min() >= 0.0 and drawn.max() <= 1.0 and np.isfinite(drawn).all()
    assert abs(drawn.mean() - 0.5) < 0.02
    assert abs(drawn.var() - 1 / (4 * (2 * alpha + 1))) < 0.01


def test_dirichlet_sums_to_1():
    drawn = stateless_random.dirichlet([1000, 3], SEED, 1.0).numpy()
    np.testing.assert_allclose(drawn.sum(axis=1), 1.0, rtol=1e-5)
    np.testing.assert_allclose(drawn.mean(axis=0), 1 / 3, atol=0.03)


def test_integers_are_uniform_up_to_each_end():
    ends = tf.constant([1, 2, 5])
    drawn = stateless_random.integers([5000, 3], SEED, ends).numpy()
    assert [len(set(column)) for column in drawn.T] == [1, 2, 5]
    np.testing.assert_allclose(np.bincount(drawn[:, 2]) / 5000, 0.2, atol=0.03)


def test_partners_are_a_permutation():
    drawn = stateless_random.partners(tf.constant(9), SEED).numpy()
    assert sorted(drawn) == list(range(9))
    np.testing.assert_array_equal(drawn, stateless_random.partners(tf.constant(9), SEED))
    others = [
        stateless_random.partners(tf.constant(9), s).numpy()
        for s in stateless_random.split_seed(SEED, 5)
    ]
    assert any(not np.array_equal(drawn, other) for other in others)
