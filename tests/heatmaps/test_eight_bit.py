"""Heatmaps in 8 bits: within half a step."""

import numpy as np

from proxy_keras.heatmaps.eight_bit import dequantise, quantise


def test_eight_bits_keep_a_map_within_half_a_step():
    maps = np.random.default_rng(0).random((3, 7, 7), np.float32)
    assert np.abs(dequantise(quantise(maps)) - maps).max() <= 0.5 / 255 + 1e-7
    np.testing.assert_array_equal(dequantise(quantise(np.array([0.0, 1.0]))), [0.0, 1.0])
