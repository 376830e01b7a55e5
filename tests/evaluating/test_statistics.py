"""Statistics of samples equal those of each sample alone, and scikit-learn's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, precision_score, recall_score

from proxy_keras.evaluating.statistics import ClassStatistics, mean_of, mean_where


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 9999), n=st.integers(1, 20), k=st.integers(2, 6))
def test_class_statistics_equal_scikit_learn_s_on_every_sample(seed, n, k):
    draw = np.random.default_rng(seed)
    labels, predicted = draw.integers(k, size=(2, n))
    places = draw.integers(n, size=(3, n))
    ours = ClassStatistics(labels, predicted, k)
    how = {"labels": range(k), "average": "macro", "zero_division": 0.0}
    for statistic, theirs in (
        (ours.macro_precision, precision_score),
        (ours.macro_recall, recall_score),
        (ours.macro_f1, f1_score),
    ):
        expected = [theirs(labels[row], predicted[row], **how) for row in places]
        assert statistic(places) == pytest.approx(expected)
    found = ours.recalls(places)
    for row, recalls in zip(places, found, strict=True):
        for class_id, recall in enumerate(recalls):
            of_class = predicted[row][labels[row] == class_id]
            expected = np.mean(of_class == class_id) if of_class.size else np.nan
            assert recall == pytest.approx(expected, nan_ok=True)


def test_means_of_images_and_of_chosen_ones():
    places = np.array([[0, 1, 2], [2, 2, 2]])
    assert mean_of([3, 6, 9])(places).tolist() == [6, 9]
    assert mean_of(np.array([True, False, True]))(places).tolist() == pytest.approx([2 / 3, 1])
    assert mean_of([[3, 0], [6, 0], [9, 1]])(places).tolist() == [[6, 1 / 3], [9, 1]]
    some = mean_where([1.0, 0.0, np.nan], [True, True, False])(places)
    assert some[0] == 0.5 and np.isnan(some[1])
