"""MaskTune: thresholds of heat."""

from __future__ import annotations

import numpy as np
import pytest

from proxy_keras.robust.masktune import heat_thresholds


def test_thresholds_are_two_deviations_above_the_mean_of_positive_heat() -> None:
    heat = np.zeros([2, 2, 4], np.float32)
    # Mean 0.4 and deviation 0.3 of the six pixels with heat; those without do not count.
    heat[0].ravel()[:6] = [0.1, 0.7, 0.1, 0.7, 0.1, 0.7]
    blank, other = heat_thresholds(heat)[::-1]
    assert other == pytest.approx(1.0, abs=1e-6)
    assert np.isinf(blank)


def test_constant_heat_is_its_own_threshold() -> None:
    np.testing.assert_allclose(heat_thresholds(np.full([1, 3, 3], 0.25)), [0.25])
