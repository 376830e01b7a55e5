"""The most probable classes come first, ties by class id."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from serve.prediction import Prediction, top_k

LABELS = ["a", "b", "c", "d"]


def test_the_best_first_and_ties_by_class_id():
    row = np.array([0.25, 0.125, 0.25, 0.375], np.float32)
    assert top_k(row, LABELS, 3) == [
        Prediction("d", 3, 0.375),
        Prediction("a", 0, 0.25),
        Prediction("c", 2, 0.25),
    ]
    assert top_k(row, LABELS, 1)[0].to_dict() == {"class": "d", "class_id": 3, "probability": 0.375}


def test_k_is_cut_to_the_classes_and_at_least_one():
    row = np.full(4, 0.25, np.float32)
    assert [one.class_id for one in top_k(row, LABELS, 9)] == [0, 1, 2, 3]
    with pytest.raises(ValueError, match=">= 1. Received: 0"):
        top_k(row, LABELS, 0)


def test_as_many_probabilities_as_labels():
    with pytest.raises(ValueError, match=r"needed: 4. Received: \[3\]"):
        top_k(np.zeros(3, np.float32), LABELS, 1)


def test_logits_decide_where_probabilities_round_to_one_value():
    probabilities = np.array([0.5, 0.5, 0.0, 0.0], np.float32)
    logits = np.array([1.0, 1.0000001, -9.0, -8.0], np.float32)
    ids = [one.class_id for one in top_k(probabilities, LABELS, 4, logits_row=logits)]
    assert ids == [1, 0, 3, 2]


@given(
    row=hnp.arrays(np.float32, 4, elements=st.sampled_from([0.0, 0.25, 0.5, 1.0])),
    k=st.integers(1, 6),
)
def test_nothing_left_out_is_better(row, k):
    found = [one.class_id for one in top_k(row, LABELS, k)]
    assert found == sorted(range(4), key=lambda class_id: (-row[class_id], class_id))[:k]
