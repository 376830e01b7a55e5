"""Scores equal those reported by training."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy_keras.metrics import classification
from serve.scores import ScoreAccumulator, Scores


def scored(logits: np.ndarray, label_ids, labels) -> Scores:
    accumulator = ScoreAccumulator(labels)
    for row, label_id in zip(logits, label_ids, strict=True):
        accumulator.add(row, int(label_id))
    assert len(accumulator) == len(label_ids)
    return accumulator.scores()


def test_exact_on_four_images():
    logits = np.array([[2, 0, 0], [0, 2, 0], [0, 2, 0], [2, 0, 0]], np.float32)
    scores = scored(logits, [0, 0, 1, 0], ["a", "b", "c"])
    assert scores.confusion.tolist() == [[2, 1, 0], [0, 1, 0], [0, 0, 0]]
    assert (scores.examples, scores.accuracy, scores.top5) == (4, 0.75, 1.0)
    found = [(one.name, one.precision, one.recall, one.images) for one in scores.per_class]
    assert found == [("a", 1.0, 2 / 3, 3), ("b", 0.5, 1.0, 1), ("c", 0.0, 0.0, 0)]
    assert [one.f1 for one in scores.per_class] == pytest.approx([0.8, 2 / 3, 0.0])
    assert scores.balanced_accuracy == pytest.approx((2 / 3 + 1.0) / 2)
    assert scores.worst_class_accuracy == pytest.approx(2 / 3)
    # "c" occurs neither in the images nor in the answers.
    assert scores.macro_f1 == pytest.approx((0.8 + 2 / 3) / 2)
    right, wrong = np.log(np.exp(2) + 2) - 2, np.log(np.exp(2) + 2)
    assert scores.loss == pytest.approx((3 * right + wrong) / 4)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), k=st.integers(2, 9), n=st.integers(1, 30), seed=st.integers(0, 9999))
def test_the_same_as_in_training(data, k, n, seed):
    rng = np.random.default_rng(seed)
    # Few different values, to include ties.
    logits = rng.integers(-3, 4, (n, k)).astype(np.float32) * data.draw(st.sampled_from([1, 40]))
    label_ids = rng.integers(0, k, n).astype(np.int32)
    labels = [f"class {at}" for at in range(k)]
    ours = scored(logits, label_ids, labels).to_dict()
    theirs = classification.score(logits, label_ids, labels).to_dict()
    assert ours["confusion"] == theirs["confusion"]
    assert ours.keys() == theirs.keys()
    for name in sorted(ours.keys() - {"confusion", "per_class"}):
        assert ours[name] == pytest.approx(theirs[name], rel=1e-12), name
    for one, other in zip(ours["per_class"], theirs["per_class"], strict=True):
        assert one.pop("class") == other.pop("class")
        assert one == pytest.approx(other, rel=1e-12)


def test_nothing_to_score_is_an_error():
    with pytest.raises(ValueError, match="none of the images could be used"):
        ScoreAccumulator(["a", "b"]).scores()


def test_the_text_holds_the_figures():
    labels = ["ant", "bee", "cat", "dog", "eel", "fox"]
    logits = np.eye(6, dtype=np.float32)[[0, 1, 2, 2]] * 3
    text = scored(logits, [0, 1, 2, 5], labels).to_text()
    lines = [line.split() for line in text.splitlines()]
    assert ["accuracy", "75.00%", "(3", "of", "4)"] in lines
    assert ["top", "5", "75.00%"] in lines
    assert ["cat", "0.5000", "1.0000", "0.6667", "1"] in lines
    assert ["5", "fox", "0", "0", "1", "0", "0", "0"] in lines


def test_few_classes_have_no_top_5_and_many_no_printed_matrix():
    few = scored(np.eye(3, dtype=np.float32), [0, 1, 2], ["a", "b", "c"]).to_text()
    assert "top 5" not in few and "confusion" in few
    many = scored(np.eye(21, dtype=np.float32), range(21), [str(n) for n in range(21)])
    assert "top 5" in many.to_text() and "confusion" not in many.to_text()
    assert len(json.loads(json.dumps(many.to_dict()))["confusion"]) == 21
