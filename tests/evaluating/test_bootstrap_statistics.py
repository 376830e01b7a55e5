"""Statistics of many samples equal those of each sample and scikit-learn's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, precision_score, recall_score

from proxy_keras.evaluating.bootstrap_statistics import ClassStatistics, mean_statistic


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 9999), n=st.integers(1, 20), k=st.integers(2, 6))
def test_class_statistics_equal_scikit_learn_s_on_every_sample(seed, n, k):
    draw = np.random.default_rng(seed)
    labels, predicted = draw.integers(k, size=(2, n))
    indices = draw.integers(n, size=(3, n))
    ours = ClassStatistics(labels, predicted, k)
    how = {"average": "macro", "zero_division": 0.0}
    for statistic, theirs in (
        (ours.macro_precision, precision_score),
        (ours.macro_recall, recall_score),
        (ours.macro_f1, f1_score),
    ):
        expected = [theirs(labels[row], predicted[row], **how) for row in indices]
        assert statistic(indices) == pytest.approx(expected)


def test_classes_that_do_not_occur_take_nothing_from_a_mean():
    labels = np.repeat(np.arange(10), 3)
    perfect = ClassStatistics(labels, labels, 12)
    indices = np.arange(30)[np.newaxis]
    assert perfect.macro_recall(indices) == perfect.macro_f1(indices) == [1.0]


def test_means_of_images():
    indices = np.array([[0, 1, 2], [2, 2, 2]])
    assert mean_statistic([3, 6, 9])(indices).tolist() == [6, 9]
    assert mean_statistic(np.array([True, False, True]))(indices).tolist() == pytest.approx(
        [2 / 3, 1]
    )
    assert mean_statistic([[3, 0], [6, 0], [9, 1]])(indices).tolist() == [[6, 1 / 3], [9, 1]]
