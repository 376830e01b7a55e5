"""Control masks: as large as the proxies' masks, but independent of the model."""

from __future__ import annotations

import math
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Scalar = TypeVar("Scalar", bound=np.generic)


SQUARE_CELLS = 32
"""Cells per side of the masks from `square_masks`."""


def random_masks(
    heatmaps: NDArray[Scalar], *, seed: int, epoch: int
) -> tuple[NDArray[Scalar], NDArray[np.int64]]:
    """Swap heatmaps between images and shift each at random (the `random_mask` control).

    The shift wraps around, so each map keeps its values and therefore its area.

    Args:
        heatmaps: [n, h, w], of any dtype.
        seed: With `epoch`, keys the draw.
        epoch: Counted from 0.

    Returns:
        [n, h, w] of the same dtype, and [n] the image each map came from. No map stays with its
        image unless there is only one.
    """
    draw = np.random.default_rng([seed, epoch, 3])
    n, height, width = heatmaps.shape
    donors = _other_images(n, draw)
    shifts = draw.integers((height, width), size=(n, 2))
    moved = np.empty_like(heatmaps)
    for image, (donor, shift) in enumerate(zip(donors, shifts, strict=True)):
        moved[image] = np.roll(heatmaps[donor], tuple(shift), axis=(0, 1))
    return moved, donors


def mask_donors(n: int, *, seed: int, epoch: int) -> NDArray[np.int64]:
    """Return the image [n] whose mask each image gets, in place (the `permuted_mask` control).

    Args:
        n: Number of images.
        seed: With `epoch`, keys the draw.
        epoch: Counted from 0.
    """
    return _other_images(n, np.random.default_rng([seed, epoch, 8]))


def _other_images(n: int, draw: np.random.Generator) -> NDArray[np.int64]:
    """Return another image [n] for each, every one once; itself only if there is no other."""
    # A random cyclic order sends each image to another one.
    order = draw.permutation(n)
    others = np.empty(n, np.int64)
    others[order] = np.roll(order, 1)
    return others


def square_masks(n: int, *, area: float, seed: int, epoch: int) -> NDArray[np.uint8]:
    """Return masks with one square each, at a random place (the `erasing` control).

    Args:
        n: Number of masks.
        area: Mean share of the image covered by a square, in [0, 1]. Sides are drawn from the two
            nearest whole numbers of cells, in proportions that give this mean.
        seed: With `epoch`, keys the draw.
        epoch: Counted from 0.

    Returns:
        [n, 32, 32] uint8: 255 in the square, which lies inside the image, 0 elsewhere. Blank if
        the side is 0.

    Source: DeVries and Taylor, Cutout (2017), where squares may reach outside the image and so
    cover a smaller area.
    """
    draw = np.random.default_rng([seed, epoch, 4])
    sides = _sides(n, area, draw)
    corners = draw.integers(SQUARE_CELLS - sides[:, np.newaxis] + 1, size=(n, 2))
    masks = np.zeros((n, SQUARE_CELLS, SQUARE_CELLS), np.uint8)
    for mask, side, (top, left) in zip(masks, sides, corners, strict=True):
        mask[top : top + side, left : left + side] = 255
    return masks


def frame_masks(n: int, *, area: float, seed: int, epoch: int) -> NDArray[np.uint8]:
    """Return masks of all but a square in the middle (the `central_square` control).

    Args:
        n: Number of masks.
        area: Mean share of the image outside the square, in [0, 1]; see `square_masks` for sides.
        seed: With `epoch`, keys the draw of the sides.
        epoch: Counted from 0.

    Returns:
        [n, 32, 32] uint8: 0 in the square, 255 elsewhere.
    """
    sides = _sides(n, 1.0 - area, np.random.default_rng([seed, epoch, 9]))
    corners = (SQUARE_CELLS - sides) // 2
    masks = np.full((n, SQUARE_CELLS, SQUARE_CELLS), 255, np.uint8)
    for mask, side, corner in zip(masks, sides, corners, strict=True):
        mask[corner : corner + side, corner : corner + side] = 0
    return masks


def _sides(n: int, area: float, draw: np.random.Generator) -> NDArray[np.int64]:
    """Return sides [n] of squares in cells, with this mean share of the image."""
    cells = SQUARE_CELLS**2 * area
    smaller = math.isqrt(math.floor(cells))
    chance_of_larger = (cells - smaller**2) / (2 * smaller + 1)
    return smaller + (draw.random(n) < chance_of_larger).astype(np.int64)
