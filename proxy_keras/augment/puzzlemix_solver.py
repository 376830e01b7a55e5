"""The two optimisations of Puzzle Mix: the mask of blocks, and where blocks are moved."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from proxy_keras.augment.minimum_cut import NEVER, minimum_cut, neighbours
from proxy_keras.io.extras import extra

Array = NDArray[np.float64]
_BORDER = 4
"""Pixels per side that are averaged before colours at the border of blocks are compared."""


@dataclass(frozen=True)
class Weights:
    """Weights of the energy terms; the defaults are the paper's.

    Attributes:
        beta: Smoothness of the mask.
        gamma: Smoothness of the image across borders of the mask, relative to `beta`.
        eta: The prior of the mask.
        levels: Steps between 0 and 1 that a block's weight may take, >= 1.
    """

    beta: float = 1.2
    gamma: float = 0.5
    eta: float = 0.2
    levels: int = 2


def best_masks(
    own: Array,
    others: Array,
    pictures: NDArray[np.floating],
    their_pictures: NDArray[np.floating],
    prior: Array,
    by: Weights,
) -> Array:
    """Compute the weights z of the own blocks that minimise the energy of Puzzle Mix, exactly.

    With L levels, z in {0, 1/L, ..., 1}, n * n blocks, b = beta / (16 n):
    `sum_i [z_i t_i + (1 - z_i) s_i - eta / n^2 log Binomial(L z_i; L, prior)]`
    `+ sum_ij [b (z_i - z_j)^2 + b gamma D_ij(z_i, z_j)]`, where s and t are the saliency of the own
    and the other image, i and j are adjacent, and D is the colour difference at their border
    between the images that z selects, interpolated between 0 and 1 by a linear term in z_i and z_j
    and one in (z_i - z_j)^2.

    Args:
        own, others: [B, n, n] saliency, each summing to 1.
        pictures, their_pictures: [B, H, W, C] in [0, 1], H and W divisible by n.
        prior: [B] expected share of the own image, in [0, 1].
        by: The weights of the terms.

    Returns:
        [B, n, n] in [0, 1].
    """
    grids, n, _ = own.shape
    levels, blocks = by.levels, own.size
    first, second = neighbours(grids, n)
    beta = by.beta / n / 16
    d = {
        (a, b): np.concatenate([part.ravel() for part in _borders(one, two, n)])
        for a, one in enumerate((their_pictures, pictures))
        for b, two in enumerate((their_pictures, pictures))
    }
    slope = (others - own).ravel()
    np.add.at(slope, first, beta * by.gamma * (d[1, 0] + d[1, 1] - d[0, 1] - d[0, 0]) / 2)
    np.add.at(slope, second, beta * by.gamma * (d[0, 1] + d[1, 1] - d[1, 0] - d[0, 0]) / 2)
    bend = (d[1, 0] + d[0, 1] - d[1, 1] - d[0, 0]) / 2
    pair = beta * (1 + by.gamma * bend) / levels**2
    # Variable (l, i) is true if block i has more than l levels; (l_i - l_j)^2 expands in these.
    costs = np.tile(slope / levels, (levels, 1))
    costs += np.repeat(_prior_steps(prior, levels, by.eta / n**2), n * n, axis=1)
    for level in range(levels):
        for end in (first, second):
            np.add.at(costs[level], end, pair * (2 * level + 1 - levels))
    tails, heads, weights = [], [], []
    for a in range(levels):
        for b in range(levels):
            tails += [first + a * blocks, second + b * blocks]
            heads += [second + b * blocks, first + a * blocks]
            weights += [pair, pair]
    for level in range(1, levels):
        every = np.arange(blocks)
        tails.append(every + level * blocks)
        heads.append(every + (level - 1) * blocks)
        weights.append(np.full(blocks, NEVER))
    is_more = minimum_cut(
        costs.ravel(), np.concatenate(tails), np.concatenate(heads), np.concatenate(weights)
    )
    return is_more.reshape(levels, grids, n, n).sum(axis=0) / levels


def _prior_steps(prior: Array, levels: int, eta: float) -> Array:
    """Return the cost of each further level under the binomial prior: [levels, B]."""
    at = np.arange(levels + 1)[:, np.newaxis]
    choose = np.cumprod(np.concatenate([[1.0], (levels - np.arange(levels)) / (at[1:, 0])]))
    likelihood = choose[:, np.newaxis] * prior**at * (1 - prior) ** (levels - at)
    return np.diff(-eta * np.log(likelihood + 1e-8), axis=0)


def _borders(one: NDArray[np.floating], two: NDArray[np.floating], n: int) -> tuple[Array, Array]:
    """Compute mean colour differences between each block in `one` and the next block in `two`.

    Returns:
        [B, n, n - 1] to the right, and [B, n - 1, n] downwards.
    """
    return _to_the_right(one, two, n), _to_the_right(
        one.transpose(0, 2, 1, 3), two.transpose(0, 2, 1, 3), n
    ).transpose(0, 2, 1)


def _to_the_right(one: NDArray[np.floating], two: NDArray[np.floating], n: int) -> Array:
    batch, height, width, channels = one.shape
    side = width // n
    deep = min(_BORDER, side)
    # The last columns of each block except the last, and the first columns of the next block.
    left = one.reshape(batch, height, n, side, channels)[:, :, :-1, -deep:].mean(axis=3)
    right = two.reshape(batch, height, n, side, channels)[:, :, 1:, :deep].mean(axis=3)
    tall = min(_BORDER, height // n)
    # Also averaged along the border, in pieces within a block.
    pieces = (left - right).reshape(batch, n, height // n, n - 1, channels)
    pieces = pieces[:, :, : height // n // tall * tall]
    pieces = pieces.reshape(batch, n, -1, tall, n - 1, channels).mean(axis=3)
    return np.abs(pieces).mean(axis=(2, 4))


def best_moves(masks: Array, saliency: Array, xi: float) -> NDArray[np.int32]:
    """Move blocks so that the mask shows the salient ones, by exact linear assignment.

    Minimises `sum_i [xi |i - p(i)|^2 / (n - 1)^2 - s_i [mask at p(i) > 0]]` over permutations p.

    Args:
        masks: [B, n, n] in [0, 1], the weight of this image.
        saliency: [B, n, n], summing to 1.
        xi: Cost of moving a block, >= 0.

    Returns:
        [B, n * n] int32: the block at each position.
    """
    with extra("train"):
        from scipy.optimize import linear_sum_assignment

    batch, n, _ = masks.shape
    rows, columns = np.divmod(np.arange(n * n), n)
    far = (rows[:, np.newaxis] - rows) ** 2 + (columns[:, np.newaxis] - columns) ** 2
    cost = xi * far / max(n - 1, 1) ** 2
    sources = np.empty([batch, n * n], np.int32)
    for image in range(batch):
        gain = np.outer(saliency[image].ravel(), masks[image].ravel() > 0)
        sources[image] = np.argsort(linear_sum_assignment(cost - gain)[1])
    return sources
