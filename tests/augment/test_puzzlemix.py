"""Puzzle Mix: both optimisations against exhaustive search on small grids."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import comb

from proxy_keras import augment
from proxy_keras.augment import puzzlemix_solver
from proxy_keras.augment.stateless_random import partners
from tests.augment.map_batches import levels, planted, seed

BY = {"beta": 6.0, "gamma": 0.8, "eta": 0.5}


def _energy(z, s, t, own, others, prior, by):
    """The energy in the docstring for a 2 x 2 mask of 4 x 4 pixel blocks, computed naively."""
    b = by.beta / 2 / 16
    steps = by.levels
    total = 0.0
    for i in np.ndindex(2, 2):
        level = round(z[i] * steps)
        likelihood = comb(steps, level) * prior**level * (1 - prior) ** (steps - level)
        total += z[i] * t[i] + (1 - z[i]) * s[i] - by.eta / 4 * np.log(likelihood + 1e-8)
    pictures = (others, own)
    for i, j in (((0, 0), (0, 1)), ((1, 0), (1, 1)), ((0, 0), (1, 0)), ((0, 1), (1, 1))):
        d = np.zeros((2, 2))
        for a, c in itertools.product(range(2), range(2)):
            mean = [
                pictures[e][4 * y : 4 * y + 4, 4 * x : 4 * x + 4].mean(axis=(0, 1))
                for e, (y, x) in ((a, i), (c, j))
            ]
            d[a, c] = np.abs(mean[0] - mean[1]).mean()
        slope_i = (d[1, 0] + d[1, 1] - d[0, 1] - d[0, 0]) / 2
        slope_j = (d[0, 1] + d[1, 1] - d[1, 0] - d[0, 0]) / 2
        bend = (d[1, 0] + d[0, 1] - d[1, 1] - d[0, 0]) / 2
        if {z[i], z[j]} <= {0.0, 1.0}:  # the interpolation is exact at 0 and 1
            exact = d[int(z[i]), int(z[j])] - d[0, 0]
            assert abs(z[i] * slope_i + z[j] * slope_j + bend * (z[i] - z[j]) ** 2 - exact) < 1e-9
        total += b * by.gamma * (z[i] * slope_i + z[j] * slope_j + bend * (z[i] - z[j]) ** 2)
        total += b * (z[i] - z[j]) ** 2
    return total


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_the_mask_has_minimal_energy(steps):
    draw = np.random.default_rng(steps)
    by = puzzlemix_solver.Weights(**BY, levels=steps)
    saliency = draw.dirichlet(np.full(4, 0.5), 6).reshape(6, 2, 2)
    theirs = draw.dirichlet(np.full(4, 0.5), 6).reshape(6, 2, 2)
    own, others = draw.random((2, 6, 8, 8, 3))
    prior = draw.uniform(0.2, 0.8, 6)
    masks = puzzlemix_solver.best_masks(saliency, theirs, own, others, prior, by)
    values = np.arange(steps + 1) / steps
    mixed = 0
    for k in range(6):
        given = (saliency[k], theirs[k], own[k], others[k], prior[k], by)
        every = [
            _energy(np.reshape(z, (2, 2)), *given) for z in itertools.product(values, repeat=4)
        ]
        assert _energy(masks[k], *given) == pytest.approx(min(every), abs=1e-6)
        mixed += len(np.unique(masks[k])) > 1
    assert mixed >= 2


def test_moves_have_minimal_cost():
    draw = np.random.default_rng(0)
    masks = (draw.random((5, 2, 2)) < 0.5).astype(float)
    saliency = draw.dirichlet(np.ones(4), 5).reshape(5, 2, 2)
    sources = puzzlemix_solver.best_moves(masks, saliency, xi=0.1)
    places = [(0, 0), (0, 1), (1, 0), (1, 1)]
    for k in range(5):

        def cost(order, k=k):
            far = [sum((np.array(places[i]) - places[j]) ** 2) for j, i in enumerate(order)]
            seen = [saliency[k].ravel()[i] * masks[k].ravel()[j] for j, i in enumerate(order)]
            return 0.1 * sum(far) - sum(seen)

        best = min(cost(order) for order in itertools.permutations(range(4)))
        assert cost(sources[k]) == pytest.approx(best)


def test_salient_halves_of_both_images_are_visible():
    images, labels = levels(n=2, side=16)
    maps = np.zeros((2, 4, 4), np.float32)
    maps[0, :, :2], maps[1, :, 2:] = 1.0, 1.0
    layer = augment.get("puzzlemix", blocks=(4,), eta=0.0, transport=False)
    number = next(n for n in range(9) if partners(2, tf.random.fold_in(seed(n), 0))[0] == 1)
    made, mixed = layer(images, labels, seed(number), tf.constant(maps))
    np.testing.assert_array_equal(made[0, :, :, 0], [[0.0] * 8 + [40.0] * 8] * 16)
    np.testing.assert_array_equal(made[1, :, :, 0], [[0.0] * 8 + [40.0] * 8] * 16)
    np.testing.assert_allclose(mixed, 0.5, atol=1e-6)


def test_salient_blocks_are_moved_under_the_mask():
    plan = puzzlemix_solver.best_moves(
        np.array([[[1.0, 0.0], [0.0, 0.0]]]), np.array([[[0.0, 0.9], [0.1, 0.0]]]), xi=0.1
    )
    np.testing.assert_array_equal(plan, [[1, 0, 2, 3]])  # the hot block and the visible one swap


def test_labels_are_the_mask_and_images_are_blocks_of_both():
    images, labels = levels(n=6, side=16)
    maps = tf.constant(np.random.default_rng(0).random((6, 8, 8)).astype(np.float32) ** 3)
    made, mixed = augment.get("puzzlemix", levels=2)(images, labels, seed(4), maps)
    # All blocks of a constant image have the same value, moved or not.
    want = mixed.numpy() @ (40.0 * np.arange(6))
    np.testing.assert_allclose(made.numpy().mean(axis=(1, 2, 3)), want, atol=1e-3)
    assert len(np.unique(mixed.numpy().max(axis=1).round(4))) > 2


def test_a_prior_of_1_changes_nothing(monkeypatch):
    images, labels = levels(n=4, side=16)
    monkeypatch.setattr(
        "proxy_keras.augment.puzzlemix.draw_beta", lambda shape, seed, alpha: tf.ones(shape)
    )
    layer = augment.get("puzzlemix", eta=10.0)
    made, mixed = layer(images, labels, seed(), planted(4, 4, [(1, 1)]))
    np.testing.assert_array_equal(made, images)
    np.testing.assert_allclose(mixed, labels)


def test_sides_not_divisible_by_any_number_of_blocks_are_refused():
    images, labels = levels(n=2, side=15)
    with pytest.raises(ValueError, match="divides the sides of images of 15 x 15 pixels"):
        augment.get("puzzlemix")(images, labels, seed(), planted(2, 3, [(1, 1)]))
