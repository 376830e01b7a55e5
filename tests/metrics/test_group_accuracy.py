"""Measures of groups are exact on cases counted by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.stats import binomtest

from proxy_keras.data.groups import Groups
from proxy_keras.metrics.group_accuracy import GroupAccuracy

NAMES = ("bird on land", "bird on water", "none here")


def counted(ids, right, training=None):
    groups = Groups(NAMES, np.array(ids, np.int32))
    train = None if training is None else Groups(NAMES, np.repeat(np.arange(3), training))
    return GroupAccuracy.of(groups, np.array(right, bool), train)


def test_counted_by_hand():
    ids, right = [0] * 4 + [1] * 5 + [-1] * 2, [1, 1, 1, 0] + [1, 1, 0, 0, 0] + [0, 0]
    found = counted(ids, right, [30, 10, 0])
    assert found.worst_accuracy == 0.4 and found.adjusted_average[0] == pytest.approx(0.6625)
    saved = json.loads(json.dumps(found.to_dict()))
    assert (saved["worst_group"], saved["worst_group_accuracy"]) == ("bird on water", 0.4)
    assert saved["adjusted_average"] == pytest.approx(0.75 * 0.75 + 0.25 * 0.4)
    assert saved["unknown_images"] == 2 and saved["small_groups"] == list(NAMES[:2])
    wilson = binomtest(2, 5).proportion_ci(method="wilson")
    assert saved["per_group"][1] == {
        "group": "bird on water",
        "images": 5,
        "training_images": 10,
        "accuracy": 0.4,
        "interval": pytest.approx([wilson.low, wilson.high]),
    }
    assert saved["per_group"][2] == {
        "group": "none here",
        "images": 0,
        "training_images": 0,
        "accuracy": None,
        "interval": None,
    }


def test_equal_accuracies_weighted_as_in_training_are_the_accuracy():
    found = counted([0] * 30 + [1] * 60, [1] * 15 + [0] * 15 + [1] * 30 + [0] * 30, [9, 1, 0])
    average, (low, high) = found.adjusted_average
    assert average == 0.5 and low < 0.5 < high and found.small == []


@pytest.mark.parametrize("training", [None, [0, 0, 0], [5, 5, 1]])
def test_without_weights_there_is_no_adjusted_average(training):
    found = counted([0, 1], [1, 0], training)
    assert found.adjusted_average is None
    saved = found.to_dict()
    assert saved["adjusted_average"] is None and saved["adjusted_average_interval"] is None


def test_without_groups_there_is_nothing_to_measure():
    assert counted([-1, -1], [1, 0]) is None
