"""Proxies as the pipelines make them, against `attenuate`."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from proxy_keras.augment.attenuation import Donors, attenuate, paste
from proxy_keras.augment.catalogue import REPLACEMENTS
from proxy_keras.data.proxy_maker import Attenuation, DonorCells, make_proxies

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, [3, 32, 32, 3], np.uint8)
HEATMAPS = RANDOM.uniform(size=[3, 32, 32]).astype(np.float32)
THRESHOLDS = np.array([0.5, 0.2, 2.0], np.float32)
"""The third image has no hot pixel."""

DONORS = DonorCells(
    RANDOM.integers(0, 256, [3, 32, 32, 3], np.uint8),
    RANDOM.uniform(size=[3, 32, 32]).astype(np.float32),
    np.array([0.7, 2.0, 0.3], np.float32),
)


@pytest.mark.parametrize("is_spread", [False, True])
@pytest.mark.parametrize("replacement", REPLACEMENTS)
def test_proxies_equal_attenuated_images(replacement: str, is_spread: bool) -> None:
    how = Attenuation(0.4, replacement, (10.0, 20.0, 30.0), is_spread)
    made = make_proxies(
        IMAGES, HEATMAPS, THRESHOLDS, recipe=how.recipe, donors=DONORS, seed=np.array([3, 4])
    )
    donors = Donors(DONORS.images, DONORS.heatmaps >= DONORS.thresholds[:, None, None])
    expected = attenuate(
        tf.cast(IMAGES, tf.float32),
        HEATMAPS,
        threshold=tf.constant(THRESHOLDS),
        weight=0.4,
        replacement=replacement,
        seed=(3, 4),
        peak=255.0,
        colour=how.colour,
        donors=donors,
    )
    expected = paste(expected, donors) if is_spread else expected
    np.testing.assert_allclose(made, expected, atol=1e-4)
    stays = ~donors.is_hot[2] if is_spread else np.ones([32, 32], bool)
    np.testing.assert_array_equal(made[2][stays], IMAGES[2][stays])


@pytest.mark.parametrize(
    ("how", "is_fixed"),
    [
        (Attenuation(), True),
        (Attenuation(replacement="noise"), False),
        (Attenuation(replacement="exchange"), False),
        (Attenuation(is_spread=True), False),
        (Attenuation(replacement="exchange", keeps_donors=True), True),
        (Attenuation(is_spread=True, replacement="noise", keeps_donors=True), False),
    ],
)
def test_a_proxy_looks_the_same_each_time_unless_noise_or_new_donors_take_part(how, is_fixed):
    assert how.is_fixed == is_fixed
