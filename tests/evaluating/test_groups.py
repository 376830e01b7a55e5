"""Groups in an evaluation: findings, section of the report, comparison with another model."""

from __future__ import annotations

import dataclasses
import json

import jsonschema_rs
import numpy as np
import pytest

from proxy_keras.data.groups import Groups
from proxy_keras.evaluating.bootstrap import Bootstrap
from proxy_keras.evaluating.bootstrap_statistics import GroupStatistics
from proxy_keras.evaluating.findings import derive_findings
from proxy_keras.evaluating.metrics_file import schema_text
from proxy_keras.evaluating.model_comparison import compare
from proxy_keras.evaluating.report_folder import _predictions
from proxy_keras.evaluating.report_page import to_html
from proxy_keras.evaluating.report_sections import build_report
from tests.evaluating.example_results import results_of_answers
from tests.evaluating.test_findings import metrics_of, said

LABELS = np.repeat([0, 1, 2], 40)
# 80 images on land, 36 on water, 4 unknown.
IDS = np.repeat([0, 1, -1], [80, 36, 4]).astype(np.int32)
NAMES = ("land", "<water>")
TRAINING = Groups(NAMES, np.repeat([0, 1], [95, 5]).astype(np.int32))
# Wrong on half of the images on water.
ANSWERS = np.where((IDS == 1) & (np.arange(120) % 2 == 0), 0, LABELS)


def grouped(answers=ANSWERS, ids=IDS, training=TRAINING):
    results = results_of_answers(LABELS, answers)
    results.split.groups = Groups(NAMES, ids)
    return dataclasses.replace(results, training_groups=training)


def test_the_metrics_match_the_schema_with_and_without_groups():
    results = grouped()
    metrics = metrics_of(results)
    groups = metrics["groups"]
    assert groups["worst_group"] == "<water>" and groups["worst_group_accuracy"] == 0.5
    assert groups["adjusted_average"] == pytest.approx(0.95 + 0.05 * 0.5)
    assert metrics["classification"]["balanced_accuracy"] == pytest.approx((40 + 40 + 22) / 120)
    assert metrics["classification"]["worst_class_accuracy"] == pytest.approx(22 / 40)
    low, high = metrics["classification"]["intervals"]["worst_class_accuracy"]
    assert low < 22 / 40 < high
    plain = metrics_of(results_of_answers(LABELS, ANSWERS))
    assert plain["groups"] is None
    schema = jsonschema_rs.Draft202012Validator(json.loads(schema_text()))
    for one, against in ((metrics, compare(results, grouped(LABELS))), (plain, None)):
        one["findings"] = [dataclasses.asdict(finding) for finding in derive_findings(one)]
        whole = one | ({} if against is None else {"against": against})
        schema.validate(json.loads(json.dumps(whole)))


def test_the_worst_group_and_small_groups_are_findings():
    metrics = metrics_of(grouped())
    assert "'<water>': 50.0% of its 36 images" in said(metrics, "The worst of 2 groups")
    few = metrics_of(grouped(ids=np.where(np.arange(120) < 100, IDS, -1)))
    assert "has 20 images, fewer than 30" in said(few, "'<water>' is imprecise")
    assert not any("imprecise" in f.text for f in derive_findings(metrics))


def test_the_report_has_a_section_on_groups():
    metrics = metrics_of(grouped())
    report, _ = build_report(metrics, [], {}, None)
    page = to_html(report)
    assert [section.id for section in report.sections[:3]] == ["findings", "failures", "groups"]
    assert "&lt;water&gt;" in page and "Images whose group is unknown" in page
    assert ("worst group", "50.0%") in report.facts
    assert "How the network&#39;s epoch was selected is unknown." in page
    assert "The worst group is 47.5 points below the adjusted average: something " in page
    even, _ = build_report(metrics_of(grouped(LABELS)), [], {}, None)
    assert "No shortcut was found: the worst group is 0.0 points below" in to_html(even)
    metrics["model"]["selection"] = "last"
    of_run, _ = build_report(metrics, [], {}, None)
    assert "The network is that of the last epoch." in to_html(of_run)
    unweighted, _ = build_report(metrics_of(grouped(training=None)), [], {}, None)
    assert "because the groups of the training images are" in to_html(unweighted)
    assert "below the adjusted average" not in to_html(unweighted)
    without, _ = build_report(metrics_of(results_of_answers(LABELS, ANSWERS)), [], {}, None)
    assert "groups" not in [section.id for section in without.sections]


def test_two_models_are_compared_by_group():
    against = compare(grouped(), grouped(LABELS))
    worst = against["scores"]["worst_group_accuracy"]
    assert (worst["this"], worst["other"], worst["difference"]) == (0.5, 1.0, -0.5)
    assert worst["interval"][1] < 0.0
    assert against["scores"]["adjusted_average"]["difference"] == pytest.approx(-0.025)
    assert against["groups"]["land"]["difference"] == 0.0
    assert against["groups"]["<water>"]["interval"][1] < 0.0


def test_predictions_name_the_group():
    table = _predictions(grouped(), [str(number) for number in range(120)])
    assert table["group"].tolist() == ["land"] * 80 + ["<water>"] * 36 + [""] * 4


def test_samples_without_a_group_leave_it_out():
    of = GroupStatistics([0, 0, 1, -1], [True, False, False, False], 2)
    samples = np.array([[0, 1, 2, 3], [0, 0, 1, 3], [2, 2, 2, 2]])
    np.testing.assert_allclose(of.worst_group_accuracy(samples), [0.0, 2 / 3, 0.0])
    weighted = of.adjusted_average(np.array([0.8, 0.2]))(samples)
    np.testing.assert_allclose(weighted, [0.4, np.nan, np.nan])


@pytest.mark.parametrize("is_tied", [False, True])
def test_equal_models_are_rarely_called_different(is_tied):
    """The worst groups of two models with equal true accuracies, on the same images."""
    draw = np.random.default_rng(0)
    ids = np.repeat([0, 1, 2], [120, 60, 40])
    accuracies = np.array([0.8, 0.8, 0.8] if is_tied else [0.95, 0.8, 0.6])[ids]
    called = 0
    for study in range(300):
        both = draw.random(220) < 0.5
        shared, own = draw.random(220), draw.random((2, 220))
        first, second = (np.where(both, shared, one) < accuracies for one in own)
        found = Bootstrap(220, seed=study, resamples=300).difference(
            GroupStatistics(ids, first, 3).worst_group_accuracy,
            GroupStatistics(ids, second, 3).worst_group_accuracy,
            is_corrected=False,
        )
        called += not found.low <= 0.0 <= found.high
    assert called / 300 <= 0.06
