"""CAM paste: one hot region is pasted on the other, at the drawn size."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from proxy_keras import augment
from tests.augment.map_batches import levels, seed, shares_shown, shown_class


def test_the_hot_region_of_the_partner_is_pasted_on_the_own_one():
    images, labels = levels(n=2, side=16)
    maps = np.zeros((2, 16, 16), np.float32)
    maps[0, 2:6, 2:6] = 1.0  # 4 x 4, centre (4, 4)
    maps[1, 8:14, 6:12] = 1.0  # 6 x 6, centre (11, 9)
    layer = augment.get("cam_paste", scale_from=1.0)
    # A seed with which each image is the other's partner.
    number = next(n for n in range(20) if _are_swapped(layer, images, labels, maps, n))
    made, mixed = layer(images, labels, seed(number), tf.constant(maps))
    shown = shown_class(made)
    np.testing.assert_array_equal(np.argwhere(shown[0] == 1), _box(1, 7, 1, 7))
    np.testing.assert_array_equal(np.argwhere(shown[1] == 0), _box(9, 13, 7, 11))
    np.testing.assert_allclose(mixed, [[1 - 36 / 256, 36 / 256], [16 / 256, 1 - 16 / 256]])


def test_heat_at_the_threshold_is_hot_and_heat_below_it_is_not():
    images, labels = levels(n=2, side=16)
    maps = np.full((2, 16, 16), 0.49, np.float32)
    maps[:, 4:8, 4:8] = 0.5
    layer = augment.get("cam_paste", threshold=0.5, scale_from=1.0)
    number = next(n for n in range(20) if _are_swapped(layer, images, labels, maps, n))
    made, _ = layer(images, labels, seed(number), tf.constant(maps))
    np.testing.assert_array_equal(np.argwhere(shown_class(made)[0] == 1), _box(4, 8, 4, 8))


def test_the_region_is_scaled_and_labels_are_its_area():
    images, labels = levels(n=3, side=16)
    maps = np.zeros((3, 16, 16), np.float32)
    maps[:, 4:12, 4:12] = 1.0
    layer = augment.get("cam_paste", scale_from=0.5, scale_to=0.5)
    made, mixed = layer(images, labels, seed(3), tf.constant(maps))
    pasted = shown_class(made) != np.arange(3)[:, None, None]
    assert set(pasted.sum(axis=(1, 2)).tolist()) <= {0, 16} and pasted.any()
    for one in pasted:
        if one.any():
            np.testing.assert_array_equal(np.argwhere(one), _box(6, 10, 6, 10))
    np.testing.assert_allclose(shares_shown(made), mixed, atol=1e-6)


def test_nothing_is_pasted_without_a_hot_region_or_at_scale_0():
    images, labels = levels(n=3, side=16)
    maps = tf.ones([3, 4, 4])
    for layer, given in (
        (augment.get("cam_paste"), tf.zeros([3, 4, 4])),
        (augment.get("cam_paste", scale_from=0.0, scale_to=0.0), maps),
    ):
        made, mixed = layer(images, labels, seed(), given)
        np.testing.assert_array_equal(made, images)
        np.testing.assert_array_equal(mixed, labels)


def _are_swapped(layer, images, labels, maps, number):
    _, mixed = layer(images, labels, seed(number), tf.constant(maps))
    return float(mixed[0, 1]) > 0


def _box(y0, y1, x0, x1):
    return [[y, x] for y in range(y0, y1) for x in range(x0, x1)]
