"""Weights with which all classes count the same."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from proxy_keras.robust.class_weighted import class_weights


def test_a_class_of_one_weighs_as_much_as_one_of_three() -> None:
    # Class 1 has no image.
    np.testing.assert_allclose(class_weights(np.array([0, 2, 0, 0])), [2 / 3, 2, 2 / 3, 2 / 3])


@given(st.lists(st.integers(0, 5), min_size=1))
def test_all_classes_have_the_same_sum_and_the_mean_is_one(labels: list[int]) -> None:
    weights = class_weights(np.array(labels))
    sums = [weights[np.array(labels) == label].sum() for label in set(labels)]
    np.testing.assert_allclose(sums, len(labels) / len(set(labels)), rtol=1e-5)
    np.testing.assert_allclose(weights.mean(), 1.0, rtol=1e-5)
