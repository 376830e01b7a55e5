"""Probabilities and losses of logits: softmax, and independent sigmoids."""

import numpy as np
import pytest

from proxy_keras.graph.probabilities import cross_entropies, log_softmax, probabilities_of

LOGITS = np.log(np.array([[1.0, 3.0], [4.0, 4.0]])).astype(np.float32)


def test_softmax_and_sigmoid():
    np.testing.assert_allclose(
        probabilities_of(LOGITS, is_multi_label=False), [[0.25, 0.75], [0.5, 0.5]], rtol=1e-6
    )
    np.testing.assert_allclose(
        probabilities_of(LOGITS, is_multi_label=True), [[0.5, 0.75], [0.8, 0.8]], rtol=1e-6
    )


def test_losses():
    labels = np.array([0, 1])
    np.testing.assert_allclose(
        cross_entropies(LOGITS, labels, is_multi_label=False), -np.log([0.25, 0.5]), rtol=1e-6
    )
    # The true class is there, and the other is not.
    np.testing.assert_allclose(
        cross_entropies(LOGITS, labels, is_multi_label=True),
        -np.log([0.5 * 0.25, 0.8 * 0.2]),
        rtol=1e-6,
    )


def test_extreme_logits_overflow_nowhere():
    logits = np.array([[1e4, -1e4]], np.float32)
    with np.errstate(all="raise", under="ignore"):
        for is_multi_label in (False, True):
            found = probabilities_of(logits, is_multi_label=is_multi_label)
            np.testing.assert_array_equal(found, [[1.0, 0.0]])
        loss = cross_entropies(logits, np.array([1]), is_multi_label=True)
        assert loss == pytest.approx([2e4])
        assert log_softmax(logits).tolist() == [[0.0, -2e4]]
