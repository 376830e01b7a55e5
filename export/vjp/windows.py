"""The geometry of sliding windows, and its transpose: zeros between and around gradients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray


@dataclass(frozen=True)
class Windows:
    """The positions of windows along one axis of a map, with TensorFlow's padding.

    Attributes:
        size: Cells of the input, >= 1.
        window: Cells in a window, >= 1.
        padding: "valid" or "same".
        stride: Distance between windows, >= 1.
        dilation: Distance between the cells of a window, >= 1.
    """

    size: int
    window: int
    padding: str
    stride: int = 1
    dilation: int = 1

    @property
    def span(self) -> int:
        """Cells from the first to the last cell of a window."""
        return (self.window - 1) * self.dilation + 1

    @property
    def count(self) -> int:
        """Number of windows, and of output cells."""
        if self.padding == "same":
            return -(-self.size // self.stride)
        return (self.size - self.span) // self.stride + 1

    @property
    def reach(self) -> int:
        """Cells from the start of the first window to that of the last."""
        return (self.count - 1) * self.stride + 1

    @property
    def padded(self) -> tuple[int, int]:
        """Cells added before and after the input."""
        if self.padding == "valid":
            return 0, 0
        total = max(self.reach + self.span - 1 - self.size, 0)
        return total // 2, total - total // 2

    @property
    def real_cells(self) -> NDArray[np.float32]:
        """Number of cells per window that are not padding, [count], for a dilation of 1."""
        starts = np.arange(self.count) * self.stride - self.padded[0]
        ends = np.minimum(starts + self.window, self.size)
        return (ends - np.maximum(starts, 0)).astype(np.float32)


def spread(gradient: tf.Tensor, rows: Windows, columns: Windows) -> tf.Tensor:
    """Place each window's gradient where the window starts, with zeros elsewhere.

    A flipped stride-1 window without padding over the result then gives the transpose of the
    forward sum: for each input cell, the sum over the windows that contain it.

    Args:
        gradient: [B, rows.count, columns.count, D] float32.

    Returns:
        [B, rows.size + rows.span - 1, columns.size + columns.span - 1, D].
    """
    if (rows.stride, columns.stride) != (1, 1):
        depth = gradient.shape[3]
        apart = tf.reshape(gradient, [-1, rows.count, 1, columns.count, 1, depth])
        gaps = [[0, 0], [0, 0], [0, rows.stride - 1], [0, 0], [0, columns.stride - 1], [0, 0]]
        size = [-1, rows.count * rows.stride, columns.count * columns.stride, depth]
        gradient = tf.reshape(tf.pad(apart, gaps), size)[:, : rows.reach, : columns.reach]
    return tf.pad(gradient, [[0, 0], _around(rows), _around(columns), [0, 0]])


def _around(axis: Windows) -> list[int]:
    before = axis.span - 1 - axis.padded[0]
    return [before, axis.size + axis.span - 1 - before - axis.reach]
