"""Logistic regression against hand-computed minima and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from proxy_keras.robust.linear_fit import Scaling, fit_linear


def test_biases_are_the_log_odds_where_features_say_nothing() -> None:
    features, labels = np.zeros([4, 1]), np.array([0, 1, 1, 1])
    fitted = fit_linear(features, labels, np.ones([4]), num_classes=2)
    assert fitted.bias[1] - fitted.bias[0] == pytest.approx(np.log(3.0), abs=1e-5)
    # The weights 3, 1, 1, 1 make the classes equal.
    fitted = fit_linear(features, labels, np.array([3.0, 1.0, 1.0, 1.0]), num_classes=2)
    assert fitted.bias[1] - fitted.bias[0] == pytest.approx(0.0, abs=1e-5)
    assert fitted.is_converged


def test_the_l2_minimum_of_two_points_solves_its_equation() -> None:
    # Points -1 and 1 of classes 0 and 1: with kernel (-w, w), the loss is log(1 + exp(-2w)) + l2
    # w^2, whose slope is -2 / (1 + exp(2w)) + 2 l2 w.
    fitted = fit_linear(
        np.array([[-1.0], [1.0]]), np.array([0, 1]), np.ones([2]), num_classes=2, l2=0.1
    )
    w = fitted.kernel[0, 1]
    assert fitted.kernel[0, 0] == pytest.approx(-w, abs=1e-5)
    assert 1.0 / (1.0 + np.exp(2.0 * w)) == pytest.approx(0.1 * w, abs=1e-5)


def test_an_l1_penalty_above_the_largest_slope_gives_a_kernel_of_exact_zeros() -> None:
    # At 0 the slope of the mean loss by each entry of the kernel is -0.5 or 0.5.
    points, labels = np.array([[-1.0], [1.0]]), np.array([0, 1])
    zero = fit_linear(points, labels, np.ones([2]), num_classes=2, l1=0.51)
    assert np.all(zero.kernel == 0.0)
    # Below it, the minimum of log(1 + exp(-d)) + l1 d by the difference d of both entries:
    # 1 / (1 + exp(d)) = l1, so d = log(1 / l1 - 1).
    some = fit_linear(points, labels, np.ones([2]), num_classes=2, l1=0.2)
    assert some.kernel[0, 1] - some.kernel[0, 0] == pytest.approx(np.log(4.0), abs=1e-4)


@pytest.mark.parametrize("penalty", ["l1", "l2"])
def test_it_agrees_with_scikit_learn(penalty: str) -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(60, 5))
    labels = (features[:, 0] + rng.normal(size=60) > 0.0).astype(int) + (features[:, 1] > 1.0)
    given = rng.integers(1, 4, 60).astype(float)
    c = 0.5
    reference = LogisticRegression(
        C=c, l1_ratio=float(penalty == "l1"), solver="saga", tol=1e-9, max_iter=20_000
    )
    reference.fit(features, labels, given)
    strength = 1.0 / (c * given.sum())
    fitted = fit_linear(features, labels, given, num_classes=3, **{penalty: strength})
    np.testing.assert_allclose(fitted.kernel, reference.coef_.T, atol=2e-4)
    np.testing.assert_allclose(
        fitted.bias - fitted.bias.mean(),
        reference.intercept_ - reference.intercept_.mean(),
        atol=2e-4,
    )


def test_a_class_without_weight_is_refused() -> None:
    with pytest.raises(ValueError, match=r"none of the class ids \[1\]"):
        fit_linear(np.eye(2), np.array([0, 1]), np.array([1.0, 0.0]), num_classes=2)


def test_scaling_is_undone_in_the_classifier() -> None:
    features = np.array([[1.0, 5.0], [3.0, 5.0]], np.float32)
    scaling = Scaling.of(features)
    np.testing.assert_array_equal(scaling(features), [[-1.0, 0.0], [1.0, 0.0]])
    fitted = fit_linear(scaling(features), np.array([0, 1]), np.ones([2]), num_classes=2, l2=0.1)
    unscaled = scaling.undone(fitted)
    np.testing.assert_allclose(unscaled.logits(features), fitted.logits(scaling(features)))
