"""Scores equal scikit-learn's and are exact on a small case."""

import json

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, classification_report, log_loss

from proxy_keras.metrics.classification import saved_confusion, score


def test_counted_by_hand():
    logits = np.array([[2, 0, 0], [0, 2, 0], [2, 0, 0], [0, 0, 2]], np.float32)
    scores = score(logits, np.array([0, 1, 1, 2]), ["a", "b", "c"])
    assert scores.accuracy == 0.75 and scores.examples == 4 and scores.top5 == 1.0
    assert scores.macro_precision == pytest.approx(2.5 / 3)
    assert scores.macro_recall == pytest.approx(2.5 / 3)
    np.testing.assert_array_equal(scores.confusion, [[1, 0, 0], [1, 1, 0], [0, 0, 1]])
    assert scores.per_class[1] == {
        "class": "b",
        "precision": 1.0,
        "recall": 0.5,
        "f1": pytest.approx(2 / 3),
        "images": 2,
    }


def test_equal_to_scikit_learn():
    draw = np.random.default_rng(0)
    logits = draw.normal(size=(200, 7)).astype(np.float32)
    labels = draw.integers(6, size=200)  # class 6 never occurs
    scores = score(logits, labels, list("abcdefg"))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    report = classification_report(
        labels, logits.argmax(1), labels=range(7), output_dict=True, zero_division=0.0
    )
    assert scores.accuracy == accuracy_score(labels, logits.argmax(1))
    assert scores.loss == pytest.approx(log_loss(labels, probabilities, labels=range(7)), rel=1e-5)
    macro = report["macro avg"]
    assert scores.macro_precision == pytest.approx(macro["precision"])
    assert scores.macro_recall == pytest.approx(macro["recall"])
    assert scores.macro_f1 == pytest.approx(macro["f1-score"])
    assert {key for key in scores.to_dict() if key.startswith("macro_")} == {
        "macro_precision",
        "macro_recall",
        "macro_f1",
    }
    highest = np.argsort(-logits, axis=1)[:, :5]
    expected = np.mean([label in row for row, label in zip(highest, labels, strict=True)])
    assert scores.top5 == expected


@pytest.mark.parametrize(("classes", "is_in_full"), [(200, True), (201, False), (1800, False)])
def test_many_classes_take_little_space(classes, is_in_full):
    draw = np.random.default_rng(0)
    labels = draw.integers(0, classes, 500).astype(np.int32)
    answers = np.where(draw.random(500) < 0.5, labels, draw.integers(0, classes, 500))
    logits = np.eye(classes, dtype=np.float32)[answers]
    scores = score(logits, labels, [str(k) for k in range(classes)])
    saved = json.loads(json.dumps(scores.to_dict(), indent=2))
    assert ("confusion" in saved, "confusion_cells" in saved) == (is_in_full, not is_in_full)
    np.testing.assert_array_equal(saved_confusion(saved), scores.confusion)
    assert scores.confusion[labels[0], answers[0]] > 0 and scores.confusion.sum() == 500
    assert len(json.dumps(saved, indent=2)) < 2**20
