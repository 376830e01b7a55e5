"""Average drop and increase against probabilities computed by hand."""

import numpy as np
import pytest

from proxy_keras.metrics import average_drop, average_increase

WEIGHTS = np.array([[1.0, -2.0]])
IMAGES = np.array([[[2.0, 0.5]], [[2.0, 0.5]], [[2.0, 0.5]]], np.float32)[..., None]
# All of it, only what speaks for the class, half of that.
HEAT = np.array([[[1.0, 1.0]], [[1.0, 0.0]], [[0.25, 0.0]]])


def sigmoid(logit):
    return 1 / (1 + np.exp(-np.asarray(logit)))


def test_drop_and_increase_by_hand(build_linear):
    model = build_linear(WEIGHTS)
    before, after = sigmoid(1.0), sigmoid([1.0, 2.0, 0.5])
    np.testing.assert_allclose(
        average_drop(model, IMAGES, HEAT), np.maximum(before - after, 0) / before, atol=1e-6
    )
    np.testing.assert_array_equal(average_increase(model, IMAGES, HEAT), [False, True, False])


def test_cold_pixels_become_the_baseline(build_linear):
    model = build_linear(WEIGHTS)
    # Faded to white, 2: [2, 0.5] becomes [2, 2], then [2, 2] with the first at 2 all along.
    after = sigmoid([1.0, 2 - 2 * 2, 2 - 2 * 2])
    drop = average_drop(model, IMAGES, HEAT, baseline="white", value_range=(0.0, 2.0))
    np.testing.assert_allclose(drop, np.maximum(sigmoid(1.0) - after, 0) / sigmoid(1.0), atol=1e-6)


def test_other_classes_can_be_measured(build_linear):
    model = build_linear(WEIGHTS)
    before, after = sigmoid(-1.0), sigmoid([-1.0, -2.0, -0.5])
    drop = average_drop(model, IMAGES, HEAT, class_ids=1)
    np.testing.assert_allclose(drop, np.maximum(before - after, 0) / before, atol=1e-6)
    np.testing.assert_array_equal(
        average_increase(model, IMAGES, HEAT, class_ids=[1, 1, 1]), [False, False, True]
    )


def test_extreme_logits_give_no_nan(build_linear):
    model = build_linear(WEIGHTS * 1e4)
    for class_ids in (0, 1):
        drop = average_drop(model, IMAGES, HEAT, class_ids)
        assert np.isfinite(drop).all()
        assert (drop >= 0).all() and (drop <= 1).all()


@pytest.mark.parametrize("heat", [HEAT - 0.1, HEAT * 1.1])
def test_heat_outside_its_range_is_refused(build_linear, heat):
    with pytest.raises(ValueError, match=r"Heat must be in \[0, 1\]"):
        average_drop(build_linear(WEIGHTS), IMAGES, heat)
