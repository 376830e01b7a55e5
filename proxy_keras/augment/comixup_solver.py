"""The optimisation of Co-Mixup: which cells of which images a whole group of mixtures shows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from proxy_keras.augment.minimum_cut import minimum_cut, neighbours

Array = NDArray[np.float64]
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Weights:
    """What the terms of the energy count; the paper's values.

    Attributes:
        beta: Smoothness of each mixture.
        gamma: Diversity among the mixtures.
        eta: The prior of the images' shares.
        tau: Share of a mixture up to which an image is in the others without being penalised.
        omega: Weight of the distance between salient cells in what counts as the same.
        rounds: How often every mixture is optimised, given the others.
    """

    beta: float = 0.32
    gamma: float = 1.0
    eta: float = 0.05
    tau: float = 0.83
    omega: float = 0.001
    rounds: int = 3


def joint_labels(saliency: Array, log_prior: Array, start: Labels, by: Weights) -> Labels:
    """For groups of m images, which image each cell of each of the m mixtures shows.

    Lowers, mixture by mixture, with n * n cells, z the chosen images as one-hot vectors, o_j the
    cells that mixture j has of each image, and A = (1 - omega) 1 + omega (distance of salient
    cells, with a mean row sum of 1):
    `sum_j [- sum_i s(z_ji, i) - eta / n^2 sum_i log p(z_ji) + beta / n^2 (touching cells that
    differ)] + gamma / n^2 sum_{j != j'} o_j A o_j'`,
    the last term counting only where an image fills more than tau n^2 cells of the others. That
    term is linear in a mixture while the others are held; the rest is a Potts model, in which each
    image in turn may take over any set of cells at the least energy (alpha-expansion). Before the
    last round, mixtures of the same images are set apart, see `_set_apart`. The groups are solved
    side by side.

    Args:
        saliency: [G, m, n, n], each map summing to 1.
        log_prior: [G, m] log p of each image.
        start: [G, m, n, n] the images shown at first, 0 to m - 1.
        by: The weights of the terms.

    Returns:
        [G, m, n, n]: of each mixture the image in each cell, 0 to m - 1.
    """
    groups, m, n, _ = saliency.shape
    cells = n * n
    costs = -saliency - (by.eta / cells * log_prior)[:, :, np.newaxis, np.newaxis]
    alike = compatibility(saliency, by.omega)
    labels = start.copy()
    counts = np.stack([(labels == image).sum(axis=(2, 3)) for image in range(m)], axis=2)
    pairs = neighbours(groups, n)
    shunned = np.zeros([groups, m, m])
    for turn in range(by.rounds):
        if turn > 0 and turn == by.rounds - 1:
            shunned = _set_apart(counts > 0)
        for mixture in range(m):
            others = counts.sum(axis=1) - counts[:, mixture]
            used = np.einsum("gkl,gl->gk", alike, others)
            penalty = 2 * np.where(used > by.tau * cells, used, 0.0) + shunned[:, mixture]
            penalty *= by.gamma / cells
            now = costs + penalty[:, :, np.newaxis, np.newaxis]
            labels[:, mixture] = _expand_labels(labels[:, mixture], now, by.beta / cells, pairs)
            chosen = labels[:, mixture, np.newaxis] == np.arange(m)[:, np.newaxis, np.newaxis]
            counts[:, mixture] = chosen.sum(axis=(2, 3))
    return labels


def _set_apart(has: NDArray[np.bool_]) -> Array:
    """Which images each mixture is to shun: [G, mixture, image], 1 or 0.

    Of two mixtures that show the same images, more than one, the former is to do without the first
    of these, and the latter without the second.

    Args:
        has: [G, mixture, image] whether it shows the image.
    """
    shunned = np.zeros(has.shape)
    is_same = (has[:, :, np.newaxis] == has[:, np.newaxis]).all(axis=3)
    for group, former, latter in np.argwhere(np.triu(is_same, k=1)):
        images = np.flatnonzero(has[group, former])
        if len(images) > 1:
            shunned[group, former, images[0]] = shunned[group, latter, images[1]] = 1.0
    return shunned


def compatibility(saliency: Array, omega: float) -> Array:
    """How much two images [G, m, n, n] count as the same: [G, m, m].

    The identity, and by the weight `omega` the distance (rows plus columns) of their most salient
    cells, scaled to sum to m.
    """
    groups, m, n, _ = saliency.shape
    rows, columns = np.divmod(saliency.reshape(groups, m, -1).argmax(axis=2), n)
    far = np.abs(rows[:, :, np.newaxis] - rows[:, np.newaxis])
    far = far + np.abs(columns[:, :, np.newaxis] - columns[:, np.newaxis])
    total = far.sum(axis=(1, 2), keepdims=True)
    return (1 - omega) * np.eye(m) + omega * m * far / np.maximum(total, 1)


def _expand_labels(
    labels: Labels,
    costs: Array,
    beta: float,
    pairs: tuple[NDArray[np.int64], NDArray[np.int64]],
) -> Labels:
    """Labels [G, n, n] after each label could expand once; costs [G, m, n, n], smoothness beta."""
    first, second = pairs
    flat = labels.ravel().copy()
    by_cell = np.moveaxis(costs, 1, -1).reshape(len(flat), -1)
    every = np.arange(len(flat))
    for label in range(by_cell.shape[1]):
        gain = by_cell[:, label] - by_cell[every, flat]
        # E(x_first, x_second), x: whether the cell takes the label.
        e00 = beta * (flat[first] != flat[second])
        e01 = beta * (flat[first] != label)
        e10 = beta * (flat[second] != label)
        np.add.at(gain, first, e10 - e00)
        np.add.at(gain, second, -e10)
        takes = minimum_cut(gain, second, first, e01 + e10 - e00)
        flat[takes] = label
    return flat.reshape(labels.shape)
