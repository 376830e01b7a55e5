"""Results of a model equal scikit-learn's; mistakes are split by heat on the object."""

import copy
import dataclasses

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from proxy_keras.evaluating.predictions import Predictions
from tests.evaluating.example_results import (
    CLASSES,
    heatmap_scores,
    localisation,
    results_of_answers,
)

LABELS = np.array([0, 0, 0, 0, 1, 1, 1, 2, 2, 2])
ANSWERS = np.array([0, 0, 0, 1, 1, 1, 0, 2, 2, 2])


def test_scores_and_intervals_are_scikit_learns():
    draw = np.random.default_rng(0)
    labels, answers = draw.integers(3, size=(2, 120))
    results = results_of_answers(labels, answers, draw.uniform(0.4, 0.99, 120))
    told = results.classification()
    report = sklearn_metrics.classification_report(labels, answers, output_dict=True)
    expected = {
        "accuracy": sklearn_metrics.accuracy_score(labels, answers),
        "balanced_accuracy": sklearn_metrics.balanced_accuracy_score(labels, answers),
        "macro_precision": report["macro avg"]["precision"],
        "macro_recall": report["macro avg"]["recall"],
        "macro_f1": report["macro avg"]["f1-score"],
        "loss": sklearn_metrics.log_loss(labels, results.predictions.probabilities),
        "top5": 1.0,
    }
    for name, value in expected.items():
        assert told[name] == pytest.approx(value, rel=1e-5), name
        low, high = told["intervals"][name]
        # The statistic of the interval is computed separately from the score.
        estimate = results.bootstrap.estimate(results.statistics[name])
        assert estimate == pytest.approx(value, rel=1e-5), name
        assert low <= value + 1e-9 and value <= high + 1e-9, name
    assert told["confusion"] == sklearn_metrics.confusion_matrix(labels, answers).tolist()


def test_scores_of_independent_classes():
    logits = np.array([[2.0, 1.0, -1.0], [0.5, 2.5, 1.5]], np.float32)
    given = Predictions(logits, np.array([0, 2]), is_multi_label=True)
    results = dataclasses.replace(results_of_answers([0, 2], [0, 1]), predictions=given)
    sigmoid = 1 / (1 + np.exp(-logits.astype(np.float64)))
    np.testing.assert_allclose(given.probabilities, sigmoid)
    there = np.eye(3)[[0, 2]]
    loss = -np.log(np.where(there == 1, sigmoid, 1 - sigmoid)).sum(axis=1).mean()
    assert results.scores.loss == pytest.approx(loss)
    assert results.bootstrap.estimate(results.statistics["loss"]) == pytest.approx(loss)
    assert results.calibration.nll == pytest.approx(loss)
    assert results.calibration.mean_confidence == pytest.approx(sigmoid.max(axis=1).mean())


def test_top5_counts_the_true_class_among_the_five_highest():
    results = results_of_answers([6, 6, 0], [0, 0, 0], classes=list("abcdefg"))
    logits = np.array([[7, 6, 5, 4, 3, 2, 1], [7, 6, 5, 4, 1, 2, 3], [1, 2, 3, 4, 5, 6, 7]])
    given = Predictions(logits.astype(np.float32), results.predictions.labels)
    results = dataclasses.replace(results, predictions=given)
    assert results.bootstrap.estimate(results.statistics["top5"]) == pytest.approx(1 / 3)
    assert results.scores.top5 == pytest.approx(1 / 3)


def test_classes_are_matched_in_any_unicode_normal_form():
    results = results_of_answers([0, 1], [0, 1], classes=["cafe\u0301", "dog"])
    split = copy.copy(results.split)
    split.classes = ["dog", "caf\u00e9"]
    split.labels = np.array([0, 1], np.int32)
    assert results.model.class_ids(split).tolist() == [1, 0]


def test_mistakes_name_images_and_classes():
    confidence = np.full(10, 0.6)
    confidence[6] = 0.8
    told = results_of_answers(LABELS, ANSWERS, confidence).mistakes([f"{n}.png" for n in range(10)])
    assert told["worst"] == [
        {"image": "6.png", "true": "dog", "predicted": "cat", "confidence": pytest.approx(0.8)},
        {"image": "3.png", "true": "cat", "predicted": "dog", "confidence": pytest.approx(0.6)},
    ]
    assert told["confused_pairs"] == [
        {"true": "dog", "predicted": "cat", "images": 1, "share": pytest.approx(1 / 3)},
        {"true": "cat", "predicted": "dog", "images": 1, "share": 0.25},
    ]
    assert told["heat_outside"] == [] and told["by_heat"] is None


def test_accuracy_is_told_by_where_the_heat_lies():
    # The heat is off the object in both errors and in one correct image; image 0 is blank.
    mass = np.array([0.5, 0.5, 0.5, 0.1, 0.5, 0.5, 0.1, 0.1, 0.5, 0.5])
    objects = localisation(mass, np.full(10, 0.3))
    results = results_of_answers(LABELS, ANSWERS, heatmaps=heatmap_scores(10, objects))
    told = results.mistakes(CLASSES * 4)
    by_heat = told["by_heat"]
    assert by_heat["inside"] == {"images": 6, "accuracy": 1.0}
    assert by_heat["outside"] == {"images": 3, "accuracy": pytest.approx(1 / 3)}
    assert by_heat["difference"] == pytest.approx(2 / 3)
    low, high = by_heat["interval"]
    assert low <= 2 / 3 <= high
    assert [row["inside"] for row in told["heat_outside"]] == [0.1, 0.1, 0.1]
    assert told["heat_outside"][0]["area"] == 0.3


def test_a_blank_heatmap_is_nowhere():
    objects = localisation(np.zeros(10), np.full(10, 0.3))
    results = results_of_answers(LABELS, LABELS, heatmaps=heatmap_scores(10, objects))
    np.testing.assert_array_equal(results.heatmaps.heat_inside, [np.nan] + [0.0] * 9)
    told = results.mistakes([f"{n}.png" for n in range(10)])
    assert [one["image"] for one in told["heat_outside"]] == [f"{n}.png" for n in range(1, 10)]
    assert told["by_heat"]["outside"]["images"] == 9


def test_without_heat_outside_there_is_nothing_to_compare():
    objects = localisation(np.full(10, 0.5), np.full(10, 0.3))
    results = results_of_answers(LABELS, ANSWERS, heatmaps=heatmap_scores(10, objects))
    by_heat = results.mistakes(CLASSES * 4)["by_heat"]
    assert by_heat["outside"] == {"images": 0, "accuracy": None}
    assert by_heat["difference"] is None and by_heat["interval"] is None
