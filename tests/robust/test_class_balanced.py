"""Class-balanced refits of the last layer."""

from __future__ import annotations

import numpy as np
import pytest

from proxy_keras.robust.class_balanced import balanced_weights, class_balanced


def test_all_classes_have_the_same_sum_of_weights() -> None:
    weights = balanced_weights(np.array([0, 2, 2, 2]), 3)
    np.testing.assert_allclose(weights, [2.0, 2 / 3, 2 / 3, 2 / 3])
    assert weights.mean() == pytest.approx(1.0)


def test_repeating_a_class_changes_nothing() -> None:
    rng = np.random.default_rng(1)
    features = rng.normal(size=(20, 3)).astype(np.float32)
    labels = np.arange(20) % 2
    options = {"num_classes": 2, "l2": 0.1}
    once = class_balanced(features, labels, **options)
    # The scaling of features depends on their frequency; without a penalty it would not matter.
    rare = np.concatenate([np.flatnonzero(labels == 0), *[np.flatnonzero(labels == 1)] * 3])
    often = class_balanced(features[rare], labels[rare], num_classes=2, l2=1e-6)
    plain = class_balanced(features, labels, num_classes=2, l2=1e-6)
    np.testing.assert_allclose(
        np.diff(often.logits(features)), np.diff(plain.logits(features)), atol=0.02
    )
    assert np.abs(np.diff(once.kernel)).sum() < np.abs(np.diff(plain.kernel)).sum()
