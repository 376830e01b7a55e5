"""Attribute Mix: each mined attribute is a peak of the remaining heat."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from proxy_keras import augment
from proxy_keras.augment.attribute_mix import AttributeMix
from tests.augment.map_batches import levels, seed, shares_shown, shown_class


def _peaks(n):
    maps = np.zeros((n, 20, 20), np.float32)
    maps[:, 4, 4], maps[:, 4, 5], maps[:, 15, 5], maps[:, 10, 15] = 1.0, 0.9, 0.8, 0.6
    return tf.constant(maps)


def test_attributes_are_mined_in_order_of_the_remaining_heat():
    boxes = AttributeMix(attributes=3, size=0.2)._mine_boxes(_peaks(1), (20, 20), seed())
    np.testing.assert_array_equal(boxes[0], [[2, 2, 6, 6], [13, 3, 17, 7], [8, 13, 12, 17]])


def test_one_attribute_is_pasted_and_labels_are_areas():
    images, labels = levels(n=6, side=20)
    found = set()
    for number in range(6):
        made, mixed = augment.get("attribute_mix", size=0.2)(
            images, labels, seed(number), _peaks(6)
        )
        np.testing.assert_allclose(shares_shown(made), mixed, atol=1e-6)
        is_pasted = shown_class(made) != np.arange(6)[:, None, None]
        found |= {tuple(np.argwhere(one)[0]) for one in is_pasted if one.any()}
        assert set(is_pasted.sum(axis=(1, 2)).tolist()) <= {0, 16}
    assert found == {(2, 2), (13, 3), (8, 13)}
