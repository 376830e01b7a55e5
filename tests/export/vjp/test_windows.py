"""Where windows lie, and gradients spread to where the windows start."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from export.vjp.windows import Windows, spread


@pytest.mark.parametrize(
    ("windows", "count", "padded"),
    [
        (Windows(5, 2, "valid", 2), 2, (0, 0)),
        (Windows(5, 2, "same", 2), 3, (0, 1)),
        (Windows(5, 3, "same", 2), 3, (1, 1)),
        (Windows(4, 3, "same", 2), 2, (0, 1)),
        (Windows(5, 1, "same", 3), 2, (0, 0)),
        (Windows(7, 3, "valid", 1, 2), 3, (0, 0)),
        (Windows(7, 3, "same", 1, 2), 7, (2, 2)),
    ],
)
def test_count_and_padding(windows, count, padded):
    assert (windows.count, windows.padded) == (count, padded)


def test_padding_is_no_real_cell():
    assert Windows(5, 3, "same", 2).real_cells.tolist() == [2, 3, 2]
    assert Windows(5, 2, "valid", 2).real_cells.tolist() == [2, 2]


@settings(deadline=None)
@given(
    size=st.integers(1, 9),
    window=st.integers(1, 4),
    stride=st.integers(1, 4),
    padding=st.sampled_from(["same", "valid"]),
)
def test_count_is_tensorflows(size, window, stride, padding):
    windows = Windows(size, window, padding, stride)
    if padding == "valid" and window > size:
        return
    pooled = tf.nn.avg_pool1d(tf.ones([1, size, 1]), window, stride, padding.upper())
    assert windows.count == pooled.shape[1]
    assert windows.padded[0] <= windows.padded[1] <= windows.padded[0] + 1


def test_gradients_lie_where_windows_start():
    gradient = tf.reshape(tf.constant([1.0, 2.0]), [1, 2, 1, 1])
    # Windows of 3 cells at 0 and 2, of 6; one cell is never reached.
    rows, columns = Windows(6, 3, "valid", 2), Windows(1, 1, "valid")
    spread_out = spread(gradient, rows, columns)
    assert np.ravel(spread_out).tolist() == [0, 0, 1, 0, 2, 0, 0, 0]
    sums = tf.nn.conv2d(spread_out, tf.reshape([3.0, 2.0, 1.0], [3, 1, 1, 1]), 1, "VALID")
    assert np.ravel(sums).tolist() == [1, 2, 3 + 2, 4, 6, 0]


def test_gradients_are_cut_at_padding():
    gradient = tf.reshape(tf.constant([1.0, 2.0]), [1, 1, 2, 1])
    # Windows of 3 cells at -1 and 1, of 3.
    rows, columns = Windows(1, 1, "valid"), Windows(3, 3, "same", 2)
    spread_out = spread(gradient, rows, columns)
    assert np.ravel(spread_out).tolist() == [0, 1, 0, 2, 0]
