"""Findings appear exactly when their numbers call for them, and refer to those numbers."""

import copy
import dataclasses

import numpy as np
import pytest

from proxy_keras.evaluating.findings import derive_findings, value_at
from proxy_keras.evaluating.metrics_file import build_metrics
from tests.evaluating.example_results import (
    heatmap_scores,
    localisation,
    results_of_answers,
    robustness,
)

DATA = {
    "source": "made up",
    "split": "test",
    "images": 0,
    "image_size": 8,
    "split_sha256": "0" * 64,
    "seen_in_training": "No.",
}


def metrics_of(results):
    names = [f"{number}.png" for number in range(len(results.predictions))]
    data = {**DATA, "images": len(names)}
    return build_metrics(results, data=data, method_reason="Why.", image_names=names, command="x")


def texts(metrics):
    return [finding.text for finding in derive_findings(metrics)]


def said(metrics, part):
    """Return the only finding that contains `part`."""
    (text,) = [text for text in texts(metrics) if part in text]
    return text


LABELS = np.repeat([0, 1, 2], 40)
RIGHT = LABELS.copy()
WRONG_DOGS = np.where((LABELS == 1) & (np.arange(120) % 2 == 0), 2, LABELS)


def test_each_finding_stands_on_its_number():
    objects = localisation(
        np.where(WRONG_DOGS == LABELS, 0.6, 0.1), np.full(120, 0.3), np.arange(120) % 5 == 0
    )
    results = results_of_answers(
        LABELS,
        WRONG_DOGS,
        0.99,
        heatmaps=heatmap_scores(120, objects, better=-0.1),
        robust=robustness(WRONG_DOGS == LABELS),
    )
    metrics = metrics_of(results)
    found = derive_findings(metrics)
    assert len(found) == 10 and len({finding.text for finding in found}) == 10
    for finding in found:
        assert value_at(metrics, finding.metric) == finding.value
    assert dataclasses.asdict(found[0]) == {
        "text": found[0].text,
        "metric": "classification.accuracy",
        "value": pytest.approx(100 / 120),
    }
    assert found[0].formatted_value == "0.8333"


def test_a_model_without_a_fault_gets_one_sentence():
    metrics = metrics_of(results_of_answers(LABELS, RIGHT, 0.99))
    assert texts(metrics) == [
        "100.0% of 120 images are classified correctly (95% interval 96.9% to 100.0%)."
    ]


def test_few_images_are_called_few():
    metrics = metrics_of(results_of_answers(LABELS[:99], RIGHT[:99], 0.99))
    assert "because there are few images" in texts(metrics)[0]


def test_the_most_frequent_error_and_the_weakest_class_are_named():
    metrics = metrics_of(results_of_answers(LABELS, WRONG_DOGS))
    assert said(metrics, "most frequent error") == (
        "The most frequent error: 'dog' is classified as 'owl' in 20 of its 40 images."
    )
    assert said(metrics, "weakest class") == (
        "The weakest class is 'dog': 50% of its 40 images are classified correctly, compared with "
        "83% for the average class."
    )


def test_a_class_without_images_is_not_the_weakest():
    labels = np.repeat([0, 1], 50)
    assert not [t for t in texts(metrics_of(results_of_answers(labels, labels))) if "weakest" in t]


@pytest.mark.parametrize(
    ("mass", "verdict"), [(0.6, "looks at the object"), (0.1, "looks at the background")]
)
def test_heat_is_held_against_heat_spread_evenly(mass, verdict):
    jitter = np.random.default_rng(0).normal(0, 0.01, 120)
    objects = localisation(mass + jitter, np.full(120, 0.3))
    metrics = metrics_of(results_of_answers(LABELS, RIGHT, heatmaps=heatmap_scores(120, objects)))
    text = said(metrics, "of the heat lies on the object")
    assert verdict in text and f"({100 * (mass - 0.3):+.0f} points)" in text


def test_heat_that_could_be_chance_is_said_to_be():
    mass = 0.3 + np.random.default_rng(0).normal(0, 0.2, 120)
    objects = localisation(mass - mass.mean() + 0.3, np.full(120, 0.3))
    metrics = metrics_of(results_of_answers(LABELS, RIGHT, heatmaps=heatmap_scores(120, objects)))
    assert "not significantly different" in said(metrics, "of the heat lies on the object")


@pytest.mark.parametrize(
    ("pointing", "words"),
    [(np.zeros(120), "less often than"), (np.arange(120) % 2 == 1, "no more often than")],
)
def test_pointing_no_better_than_the_middle_is_said(pointing, words):
    objects = localisation(np.full(120, 0.6), np.full(120, 0.3), pointing)
    metrics = metrics_of(results_of_answers(LABELS, RIGHT, heatmaps=heatmap_scores(120, objects)))
    text = said(metrics, "hottest point")
    assert words in text and "(50%)" in text
    better = localisation(np.full(120, 0.6), np.full(120, 0.3))
    metrics = metrics_of(results_of_answers(LABELS, RIGHT, heatmaps=heatmap_scores(120, better)))
    assert not [text for text in texts(metrics) if "hottest point" in text]


def test_errors_that_come_with_heat_outside_are_told_and_the_opposite_too():
    is_right = WRONG_DOGS == LABELS
    for at_errors, words in ((0.1, "Errors go together"), (0.6, "The background helps")):
        mass = np.where(is_right, 0.7 - at_errors, at_errors)
        objects = localisation(mass, np.full(120, 0.3))
        results = results_of_answers(LABELS, WRONG_DOGS, heatmaps=heatmap_scores(120, objects))
        assert words in said(metrics_of(results), "Where the heat is off the object")


def test_heatmaps_no_better_than_chance_and_blank_ones_are_told():
    metrics = metrics_of(
        results_of_answers(LABELS, RIGHT, heatmaps=heatmap_scores(120, better=-0.1))
    )
    assert "0.60 against 0.50" in said(metrics, "Do not rely on")
    assert said(metrics, "blank").startswith("1 of 120 heatmaps is blank: grad_cam finds")
    good = metrics_of(results_of_answers(LABELS, RIGHT, heatmaps=heatmap_scores(120)))
    assert not [text for text in texts(good) if "Do not rely on" in text]


@pytest.mark.parametrize(
    ("answers", "confidence", "words"),
    [(WRONG_DOGS, 0.99, "overconfident"), (RIGHT, 0.6, "underconfident")],
)
def test_wrong_sureness_is_told(answers, confidence, words):
    metrics = metrics_of(results_of_answers(LABELS, answers, confidence))
    assert f"mean confidence is {confidence:.0%}" in said(metrics, words)


def test_sureness_that_evens_out_is_neither_too_much_nor_too_little():
    # Half have confidence 95% and 30% errors, half have confidence 75% and no errors.
    is_sure = np.arange(120) % 2 == 0
    wrong = is_sure & (np.arange(120) % 20 < 6)
    answers = np.where(wrong, (LABELS + 1) % 3, LABELS)
    metrics = metrics_of(results_of_answers(LABELS, answers, np.where(is_sure, 0.95, 0.75)))
    sentence = said(metrics, "overconfident on some images and underconfident on others")
    assert "differ by 25% on average, but cancel out" in sentence
    assert not [text for text in texts(metrics) if "The model is underconfident" in text]


def test_the_worst_corruption_is_named():
    metrics = metrics_of(results_of_answers(LABELS, RIGHT, robust=robustness(np.ones(120))))
    assert said(metrics, "most sensitive") == (
        "The model is most sensitive to blur: at severity 3, accuracy drops from 100% to 0%."
    )
    mild = copy.deepcopy(metrics)
    mild["robustness"]["corruptions"] = {"noise": [1.0, 1.0, 0.95]}
    assert not [text for text in texts(mild) if "most sensitive" in text]


def test_a_path_leads_to_its_number():
    assert value_at({"a": {"b_c": [{"d": 1.0}, {"d": 2.0}]}}, "a.b_c[1].d") == 2.0
    with pytest.raises(KeyError):
        value_at({"a": {}}, "a.b")
