"""Controls of a comparison: masks of the same size that say nothing about the network."""

from __future__ import annotations

import math
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Scalar = TypeVar("Scalar", bound=np.generic)


SQUARE_CELLS = 32
"""Cells per side of the maps that `square_masks` draws on."""


def random_masks(
    heatmaps: NDArray[Scalar], *, seed: int, epoch: int
) -> tuple[NDArray[Scalar], NDArray[np.int64]]:
    """Each heatmap exchanged for another image's, and shifted at random: `random_mask`.

    The shift wraps around, so that values, and with them area and shape on the torus, stay.

    Args:
        heatmaps: [n, h, w], of any dtype.
        seed: With `epoch`, keys the draw.
        epoch: Counted from 0.

    Returns:
        [n, h, w], of the same dtype, and [n] which image each map came from. No map stays with its
        image, except where there is only one.
    """
    draw = np.random.default_rng([seed, epoch, 3])
    n, height, width = heatmaps.shape
    # A random cyclic order sends each image to another one.
    order = draw.permutation(n)
    donors = np.empty(n, np.int64)
    donors[order] = np.roll(order, 1)
    shifts = draw.integers((height, width), size=(n, 2))
    moved = np.empty_like(heatmaps)
    for image, (donor, shift) in enumerate(zip(donors, shifts, strict=True)):
        moved[image] = np.roll(heatmaps[donor], tuple(shift), axis=(0, 1))
    return moved, donors


def square_masks(n: int, *, area: float, seed: int, epoch: int) -> NDArray[np.uint8]:
    """Masks that are one square of a given mean area at a random place: `erasing`.

    Args:
        n: Number of masks.
        area: Share of the image that a square covers in the mean, in [0, 1]. Sides are the two
            whole numbers of cells nearest to it, mixed so that the mean comes out.
        seed: With `epoch`, keys the draw.
        epoch: Counted from 0.

    Returns:
        [n, 32, 32] uint8: 255 inside the square, which lies within the image, and 0 outside. Blank
        where the side is 0.

    Source: DeVries and Taylor, Cutout (2017), there partly outside the image, which would make the
    covered area smaller than asked.
    """
    draw = np.random.default_rng([seed, epoch, 4])
    cells = SQUARE_CELLS**2 * area
    smaller = math.isqrt(math.floor(cells))
    chance_of_larger = (cells - smaller**2) / (2 * smaller + 1)
    sides = smaller + (draw.random(n) < chance_of_larger)
    corners = draw.integers(SQUARE_CELLS - sides[:, np.newaxis] + 1, size=(n, 2))
    masks = np.zeros((n, SQUARE_CELLS, SQUARE_CELLS), np.uint8)
    for mask, side, (top, left) in zip(masks, sides, corners, strict=True):
        mask[top : top + side, left : left + side] = 255
    return masks
