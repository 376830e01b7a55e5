"""Errors of a model on small arrays."""

import numpy as np
import pytest

from proxy_keras.evaluating.mistakes import confused_pairs, heat_outside, worst_mistakes
from proxy_keras.evaluating.options import EvaluationOptions, explanation_method
from proxy_keras.evaluating.predictions import Predictions


def test_pairs_come_by_errors_then_by_their_share_of_the_class():
    # Errors: 2 of 10 in class 0, 2 of 4 in class 1, 3 of 6 in class 2.
    confusion = np.array([[8, 2, 0], [0, 2, 2], [3, 0, 3]])
    pairs = confused_pairs(confusion)
    assert [(p.true, p.predicted, p.images, p.share) for p in pairs] == [
        (2, 0, 3, 0.5),
        (1, 2, 2, 0.5),
        (0, 1, 2, 0.2),
    ]
    assert confused_pairs(confusion, most=1) == pairs[:1]
    assert confused_pairs(np.diag([3, 0, 2])) == []


def test_the_surest_errors_come_first():
    logits = np.array([[4, 0], [2, 0], [0, 1], [3, 0], [0, 5]], np.float32)
    given = Predictions(logits, np.array([0, 1, 0, 1, 1]))
    assert worst_mistakes(given).tolist() == [3, 1, 2]
    assert worst_mistakes(given, most=2).tolist() == [3, 1]
    np.testing.assert_allclose(given.confidence[3], 1 / (1 + np.exp(-3.0)))


def test_heat_is_outside_where_the_object_gets_less_than_its_share():
    inside = np.array([0.1, np.nan, 0.5, 0.05, 0.2])
    area = np.array([0.2, 0.2, 0.4, 0.5, 0.2])
    assert heat_outside(inside, area).tolist() == [3, 0]
    assert heat_outside(inside, area, most=1).tolist() == [3]


@pytest.mark.parametrize(
    ("asked", "trained_with", "method"),
    [
        (None, None, "grad_cam"),
        (None, "grad_cam_plus_plus", "grad_cam"),
        (None, "grad_cam", "layer_cam"),
        ("grad_cam", "grad_cam", "grad_cam"),
    ],
)
def test_another_method_looks_than_the_one_that_trained(asked, trained_with, method):
    assert explanation_method(asked, trained_with) == method


@pytest.mark.parametrize(
    ("settings", "rule"),
    [({"heat_images": -1}, "`heat_images`"), ({"batch_size": 0}, "`batch"), ({"seed": -1}, "`se")],
)
def test_options_are_checked(settings, rule):
    with pytest.raises(ValueError, match=rule):
        EvaluationOptions(**settings)
