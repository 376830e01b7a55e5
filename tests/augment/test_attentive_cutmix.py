"""Attentive CutMix: only the k hottest cells of the other image are pasted."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from proxy_keras import augment
from proxy_keras.augment.stateless_random import partners
from tests.augment.map_batches import levels, planted, seed, shares_shown, shown_class


def test_hot_cells_of_the_partner_are_pasted_and_labels_are_areas():
    images, labels = levels(n=5, side=14)
    hot = [(0, 0), (3, 4), (6, 6)]
    layer = augment.get("attentive_cutmix", cells=3)
    made, mixed = layer(images, labels, seed(), planted(5, 7, hot))
    partner = partners(5, tf.random.fold_in(seed(), 0)).numpy()
    want = np.repeat(np.arange(5), 14 * 14).reshape(5, 14, 14)
    for row, column in hot:  # a cell is 2 x 2 pixels
        want[:, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2] = partner[:, None, None]
    np.testing.assert_array_equal(shown_class(made), want)
    other = 3 / 49 * np.eye(5)[partner]
    np.testing.assert_allclose(mixed, (1 - 3 / 49) * np.eye(5) + other, atol=1e-6)


def test_ties_are_broken_at_random_with_a_fixed_number_of_cells():
    images, labels = levels(n=4, side=14)
    layer = augment.get("attentive_cutmix", cells=6)
    places = set()
    for number in range(4):
        made, mixed = layer(images, labels, seed(number), tf.zeros([4, 1, 1]))
        np.testing.assert_allclose(shares_shown(made), mixed, atol=1e-6)
        partner = partners(4, tf.random.fold_in(seed(number), 0)).numpy()
        for own in np.flatnonzero(partner != np.arange(4)):
            is_pasted = shown_class(made)[own] != own
            assert is_pasted.sum() == 6 * 4
            places.add(is_pasted.tobytes())
    assert len(places) > 4


def test_zero_cells_change_nothing():
    images, labels = levels()
    made, mixed = augment.get("attentive_cutmix", cells=0)(images, labels, seed(), images[..., 0])
    np.testing.assert_array_equal(made, images)
    np.testing.assert_array_equal(mixed, labels)
