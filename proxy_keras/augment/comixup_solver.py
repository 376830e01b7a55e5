"""The optimisation of Co-Mixup: which image each cell of a group of mixtures shows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from proxy_keras.augment.minimum_cut import minimum_cut, neighbours

Array = NDArray[np.float64]
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Weights:
    """Weights of the energy terms; the defaults are the paper's.

    Attributes:
        beta: Smoothness of each mixture.
        gamma: Diversity among the mixtures.
        eta: Prior of the images' shares.
        tau: Share that an image may fill of the other mixtures without a penalty.
        omega: Weight of the distance between salient cells in the compatibility of two images.
        rounds: How often each mixture is optimised, given the others.
    """

    beta: float = 0.32
    gamma: float = 1.0
    eta: float = 0.05
    tau: float = 0.83
    omega: float = 0.001
    rounds: int = 3


def joint_labels(saliency: Array, log_prior: Array, start: Labels, by: Weights) -> Labels:
    """Choose the image that each cell of the m mixtures of m images shows, for G groups.

    Minimises, one mixture at a time, with n * n cells, z the chosen images as one-hot vectors, o_j
    the number of cells of each image in mixture j, and A = (1 - omega) 1 + omega (distance of
    salient cells, with a mean row sum of 1):
    `sum_j [- sum_i s(z_ji, i) - eta / n^2 sum_i log p(z_ji) + beta / n^2 (adjacent cells that
    differ)] + gamma / n^2 sum_{j != j'} o_j A o_j'`,
    where the last term only counts images that fill more than tau n^2 cells of the other mixtures.
    That term is linear in a mixture while the others are fixed; the rest is a Potts model, in which
    each image in turn takes over the set of cells that minimises the energy (alpha-expansion).
    Before the last round, `_separate_duplicates` separates mixtures of the same images. All groups
    are solved together.

    Args:
        saliency: [G, m, n, n], each map summing to 1.
        log_prior: [G, m] log p of each image.
        start: [G, m, n, n] initial images, 0 to m - 1.
        by: The weights of the terms.

    Returns:
        [G, m, n, n]: the image in each cell of each mixture, 0 to m - 1.
    """
    groups, m, n, _ = saliency.shape
    cells = n * n
    costs = -saliency - (by.eta / cells * log_prior)[:, :, np.newaxis, np.newaxis]
    alike = compatibility(saliency, by.omega)
    labels = start.copy()
    counts = np.stack([(labels == image).sum(axis=(2, 3)) for image in range(m)], axis=2)
    pairs = neighbours(groups, n)
    avoided = np.zeros([groups, m, m])
    for turn in range(by.rounds):
        if turn > 0 and turn == by.rounds - 1:
            avoided = _separate_duplicates(counts > 0)
        for mixture in range(m):
            others = counts.sum(axis=1) - counts[:, mixture]
            used = np.einsum("gkl,gl->gk", alike, others)
            penalty = 2 * np.where(used > by.tau * cells, used, 0.0) + avoided[:, mixture]
            penalty *= by.gamma / cells
            now = costs + penalty[:, :, np.newaxis, np.newaxis]
            labels[:, mixture] = _expand_labels(labels[:, mixture], now, by.beta / cells, pairs)
            chosen = labels[:, mixture, np.newaxis] == np.arange(m)[:, np.newaxis, np.newaxis]
            counts[:, mixture] = chosen.sum(axis=(2, 3))
    return labels


def _separate_duplicates(has: NDArray[np.bool_]) -> Array:
    """Return the images that each mixture should avoid: [G, mixture, image], 1 or 0.

    If two mixtures show the same set of two or more images, the former should avoid the first of
    these, and the latter the second.

    Args:
        has: [G, mixture, image], whether the mixture shows the image.
    """
    avoided = np.zeros(has.shape)
    is_same = (has[:, :, np.newaxis] == has[:, np.newaxis]).all(axis=3)
    for group, former, latter in np.argwhere(np.triu(is_same, k=1)):
        images = np.flatnonzero(has[group, former])
        if len(images) > 1:
            avoided[group, former, images[0]] = avoided[group, latter, images[1]] = 1.0
    return avoided


def compatibility(saliency: Array, omega: float) -> Array:
    """Return the compatibility of each pair of images: [G, m, m].

    A mean of the identity and, with weight `omega`, the distance (rows plus columns) between the
    images' most salient cells, scaled to sum to m.
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
    """Expand each label once, given costs [G, m, n, n] and smoothness beta: labels [G, n, n]."""
    first, second = pairs
    flat = labels.ravel().copy()
    by_cell = np.moveaxis(costs, 1, -1).reshape(len(flat), -1)
    every = np.arange(len(flat))
    for label in range(by_cell.shape[1]):
        gain = by_cell[:, label] - by_cell[every, flat]
        # E(x_first, x_second), where x is whether the cell takes the label.
        e00 = beta * (flat[first] != flat[second])
        e01 = beta * (flat[first] != label)
        e10 = beta * (flat[second] != label)
        np.add.at(gain, first, e10 - e00)
        np.add.at(gain, second, -e10)
        takes = minimum_cut(gain, second, first, e01 + e10 - e00)
        flat[takes] = label
    return flat.reshape(labels.shape)
