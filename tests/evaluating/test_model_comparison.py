"""Comparison of two models: differences, classes, disagreements."""

import numpy as np
import pytest

from proxy_keras.evaluating.model_comparison import compare, disagreements
from tests.evaluating.example_results import (
    heatmap_scores,
    localisation,
    results_of_answers,
    robustness,
)

LABELS = np.repeat([0, 1, 2], 40)
# A is wrong on half of the dogs, B on a quarter of the owls.
A = np.where((LABELS == 1) & (np.arange(120) % 2 == 0), 2, LABELS)
B = np.where((LABELS == 2) & (np.arange(120) % 4 == 0), 0, LABELS)


def whole(answers, confidence=0.9, mass=0.5, better=0.2):
    objects = localisation(np.full(120, mass), np.full(120, 0.3))
    return results_of_answers(
        LABELS,
        answers,
        confidence,
        heatmaps=heatmap_scores(120, objects, better),
        robust=robustness(answers == LABELS),
        name="A" if answers is A else "B",
    )


def test_every_score_is_compared_this_less_other():
    against = compare(whole(A, 0.9, 0.6, 0.3), whole(B, 0.8, 0.4, 0.1))
    scores = against["scores"]
    assert set(scores) == {
        *("accuracy", "balanced_accuracy", "top5", "loss"),
        *("macro_precision", "macro_recall", "macro_f1"),
        *("ece", "brier", "robustness", "robustness_noise", "robustness_blur"),
        *("deletion", "insertion", "pointing_game", "mass_inside", "iou"),
    }
    for one in scores.values():
        assert one["difference"] == pytest.approx(one["this"] - one["other"])
        low, high = one["interval"]
        assert low <= one["difference"] + 1e-12 and one["difference"] <= high + 1e-12
    assert scores["accuracy"]["this"] == pytest.approx(100 / 120)
    assert scores["accuracy"]["difference"] == pytest.approx(-10 / 120)
    # Predictions with confidence p and accuracy a have the gap |p - a|.
    assert scores["ece"]["this"] == pytest.approx(0.9 - 100 / 120, abs=1e-6)
    assert scores["ece"]["other"] == pytest.approx(110 / 120 - 0.8, abs=1e-6)
    assert scores["robustness_blur"]["this"] == pytest.approx(2 / 3 * 100 / 120)
    assert scores["robustness_noise"]["this"] == pytest.approx(100 / 120)
    assert scores["deletion"]["difference"] == pytest.approx(-0.2)
    assert scores["mass_inside"]["difference"] == pytest.approx(0.2)


def test_a_model_against_itself_differs_in_nothing():
    against = compare(whole(A), whole(A))
    for one in against["scores"].values():
        assert one["difference"] == 0.0 and one["interval"] == [0.0, 0.0]
    for one in against["classes"].values():
        assert one["difference"] == 0.0 and one["interval"][0] < 0 < one["interval"][1]
    assert against["disagree"] == {"images": 0, "only_this_right": 0, "only_other_right": 0}


def test_classes_gain_and_lose():
    classes = compare(whole(A), whole(B))["classes"]
    assert list(classes) == ["cat", "dog", "owl"]
    assert classes["cat"]["difference"] == 0.0
    assert classes["dog"]["this"] == 0.5 and classes["dog"]["difference"] == -0.5
    assert classes["owl"]["other"] == 0.75 and classes["owl"]["difference"] == 0.25
    assert classes["dog"]["interval"][1] < 0 < classes["owl"]["interval"][0]


def test_one_image_gains_nothing_for_sure():
    labels = np.array([0] * 30 + [1])
    one, other = (
        results_of_answers(labels, labels),
        results_of_answers(labels, np.zeros_like(labels)),
    )
    found = compare(one, other)["classes"]["dog"]
    assert found["difference"] == 1.0 and found["interval"][0] < 0


def test_a_class_without_images_is_left_out():
    labels = np.repeat([0, 1], 20)
    one, other = results_of_answers(labels, labels), results_of_answers(labels, labels)
    assert list(compare(one, other)["classes"]) == ["cat", "dog"]


def test_what_only_one_measured_is_not_compared():
    scores = compare(whole(A), results_of_answers(LABELS, B))["scores"]
    assert not {"robustness", "deletion", "mass_inside"} & set(scores)


def test_disagreements_are_counted_and_ordered():
    against = compare(whole(A), whole(B))
    assert against["disagree"] == {"images": 30, "only_this_right": 10, "only_other_right": 20}
    # 0: only this is correct. 1: only the other, more confident. 2: agree. 3: both are wrong.
    this = results_of_answers([0, 1, 2, 2], [0, 0, 1, 0], [0.6, 0.9, 0.9, 0.99])
    other = results_of_answers([0, 1, 2, 2], [1, 1, 1, 1], [0.6, 0.9, 0.9, 0.99])
    assert disagreements(this, other).tolist() == [1, 0, 3]
