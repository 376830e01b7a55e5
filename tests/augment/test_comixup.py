"""Co-Mixup: the energy falls, expansions are exact, and mixtures differ."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import tensorflow as tf

from proxy_keras import augment
from proxy_keras.augment import comixup_solver
from proxy_keras.augment.comixup_solver import Weights
from proxy_keras.augment.minimum_cut import NEVER, minimum_cut, neighbours
from tests.augment.map_batches import levels, planted, seed, shares_shown


def test_a_minimum_cut_is_the_global_minimum():
    draw = np.random.default_rng(0)
    for _ in range(10):
        costs = draw.normal(size=5)
        tails, heads = draw.integers(5, size=(2, 8))
        weights = draw.random(8)
        weights[0] = NEVER if tails[0] != heads[0] else 0.0

        def energy(x, costs=costs, tails=tails, heads=heads, weights=weights):
            paid = x[tails] & ~x[heads]
            return costs @ x + weights[paid].sum()

        every = [energy(np.array(x)) for x in itertools.product([False, True], repeat=5)]
        best = energy(minimum_cut(costs, tails, heads, weights))
        assert best == pytest.approx(min(every), abs=1e-6)


def test_neighbours_are_adjacent_cells():
    first, second = neighbours(2, 2)
    pairs = set(zip(first.tolist(), second.tolist(), strict=True))
    assert pairs == {(0, 1), (2, 3), (4, 5), (6, 7), (0, 2), (1, 3), (4, 6), (5, 7)}


def _potts(labels, costs, beta):
    n = labels.shape[-1]
    total = sum(costs[labels[i], i[0], i[1]] for i in np.ndindex(n, n))
    differ = (labels[1:] != labels[:-1]).sum() + (labels[:, 1:] != labels[:, :-1]).sum()
    return total + beta * differ


def test_no_single_expansion_lowers_the_energy_further():
    draw = np.random.default_rng(0)
    costs = draw.normal(size=(2, 3, 2, 2))
    pairs = neighbours(2, 2)
    labels = draw.integers(3, size=(2, 2, 2))
    for _ in range(5):
        labels = comixup_solver._expand_labels(labels, costs, 0.4, pairs)
    for grid, cost in zip(labels, costs, strict=True):
        reached = _potts(grid, cost, 0.4)
        for label in range(3):
            for takes in itertools.product([False, True], repeat=4):
                moved = np.where(np.reshape(takes, (2, 2)), label, grid)
                assert reached <= _potts(moved, cost, 0.4) + 1e-6


def test_compatibility_depends_on_the_salient_cells():
    saliency = np.zeros((1, 3, 2, 2))
    saliency[0, 0, 0, 0] = saliency[0, 1, 0, 1] = saliency[0, 2, 1, 1] = 1.0
    # Distances: 1 between 0 and 1, 2 between 0 and 2, 1 between 1 and 2: 8 in all, scaled to 3.
    far = np.array([[0, 1, 2], [1, 0, 1], [2, 1, 0]]) * 3 / 8
    got = comixup_solver.compatibility(saliency, 0.25)
    np.testing.assert_allclose(got[0], 0.75 * np.eye(3) + 0.25 * far)


def test_mixtures_show_salient_cells_and_differ():
    # Each of four images is salient in a different corner.
    saliency = np.zeros((1, 4, 4, 4))
    for image, (row, column) in enumerate([(0, 0), (0, 2), (2, 0), (2, 2)]):
        saliency[0, image, row : row + 2, column : column + 2] = 0.25
    start = np.random.default_rng(0).integers(4, size=(1, 4, 4, 4))
    prior = np.zeros((1, 4))
    # With little smoothness and no diversity, every mixture shows all salient corners.
    free = comixup_solver.joint_labels(saliency, prior, start, Weights(beta=0.1, gamma=0.0))
    want = np.repeat(np.repeat([[0, 1], [2, 3]], 2, axis=0), 2, axis=1)
    np.testing.assert_array_equal(free[0], np.tile(want, (4, 1, 1)))
    # With diversity, an image that fills more than tau of the other mixtures is penalised.
    spread = comixup_solver.joint_labels(saliency, prior, start, Weights(tau=0.3))
    counts = np.stack([(spread[0] == k).sum(axis=(1, 2)) for k in range(4)], axis=1)
    assert len({tuple(row) for row in counts.tolist()}) > 1


def test_mixtures_of_the_same_images_are_separated():
    has = np.array([[[1, 1, 0], [1, 1, 0], [0, 0, 1]]], bool)
    want = [[[1, 0, 0], [0, 1, 0], [0, 0, 0]]]
    np.testing.assert_array_equal(comixup_solver._separate_duplicates(has), want)
    has = np.array([[[1, 0], [1, 0]]], bool)  # mixtures of a single image are not separated
    assert not comixup_solver._separate_duplicates(has).any()


def test_labels_are_areas_even_if_cells_differ_in_size():
    images, labels = levels(n=6, side=14)  # 4 cells per 14 pixels
    maps = tf.constant(np.random.default_rng(0).random((6, 5, 5)).astype(np.float32) ** 4)
    made, mixed = augment.get("comixup", members=4)(images, labels, seed(), maps)
    np.testing.assert_allclose(shares_shown(made), mixed, atol=1e-6)
    # The group of four and the group of the remaining two do not mix.
    assert mixed.numpy()[:4, 4:].max() == 0.0 and mixed.numpy()[4:, :4].max() == 0.0


def test_groups_of_one_change_nothing():
    images, labels = levels(n=3, side=8)
    made, mixed = augment.get("comixup", members=1)(images, labels, seed(), planted(3, 4, [(0, 0)]))
    np.testing.assert_array_equal(made, images)
    np.testing.assert_allclose(mixed, labels)
