"""The control `random_mask`: masks of the same size and shape, put where they mean nothing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def displaced(heatmaps: NDArray[np.float32], *, seed: int, epoch: int) -> NDArray[np.float32]:
    """Each heatmap exchanged for another image's, and shifted at random.

    The shift wraps around, so that values, and with them area and shape on the torus, stay.

    Args:
        heatmaps: [n, h, w] float32.
        seed: With `epoch`, keys the draw.
        epoch: Counted from 0.

    Returns:
        [n, h, w] float32. No map stays with its image, except where there is only one.
    """
    draw = np.random.default_rng([seed, epoch, 3])
    n, height, width = heatmaps.shape
    # A random cyclic order sends each image to another one.
    order = draw.permutation(n)
    donors = np.empty(n, np.int64)
    donors[order] = np.roll(order, 1)
    down = draw.integers(height, size=n)
    right = draw.integers(width, size=n)
    moved = [
        np.roll(heatmaps[donor], (dy, dx), axis=(0, 1))
        for donor, dy, dx in zip(donors, down, right, strict=True)
    ]
    return np.stack(moved) if moved else heatmaps
