"""The geometry of sliding windows, and what undoes it: zeros between and around gradients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray


@dataclass(frozen=True)
class Windows:
    """How windows lie along one axis of a map, padded as TensorFlow does.

    Attributes:
        size: Cells of the input, >= 1.
        window: Cells that one window looks at, >= 1.
        padding: "valid" or "same".
        stride: Steps from one window to the next, >= 1.
        dilation: Steps from one cell of a window to its next, >= 1.
    """

    size: int
    window: int
    padding: str
    stride: int = 1
    dilation: int = 1

    @property
    def span(self) -> int:
        """Cells from the first to the last of a window."""
        return (self.window - 1) * self.dilation + 1

    @property
    def count(self) -> int:
        """Number of windows: cells of the output."""
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
        """How many cells of each window are not padding, [count], for a dilation of 1."""
        starts = np.arange(self.count) * self.stride - self.padded[0]
        ends = np.minimum(starts + self.window, self.size)
        return (ends - np.maximum(starts, 0)).astype(np.float32)


def spread(gradient: tf.Tensor, rows: Windows, columns: Windows) -> tf.Tensor:
    """Puts each window's gradient where the window starts, zeros elsewhere.

    A stride-1 window over the result, flipped and not padded, sums for each cell of the input what
    the windows that look at it have for it: the transpose of the forward sum.

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
