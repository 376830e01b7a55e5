"""Just Train Twice: the error set and its weights."""

from __future__ import annotations

import numpy as np

from proxy_keras.robust.jtt import error_set, upweighted


def test_errors_are_where_the_highest_logit_is_another_class() -> None:
    logits = np.array([[2.0, 1.0], [2.0, 1.0], [0.0, 0.5]])
    np.testing.assert_array_equal(error_set(logits, np.array([0, 1, 1])), [False, True, False])


def test_weights_are_those_of_a_set_with_repeated_errors() -> None:
    weights = upweighted(np.array([False, True, False, False]), 5.0)
    # 8 examples of a set in which the error is there five times, over 4.
    np.testing.assert_allclose(weights, [0.5, 2.5, 0.5, 0.5])
    np.testing.assert_array_equal(upweighted(np.zeros([3], bool), 5.0), np.ones([3]))
