"""SaliencyMix: the box surrounds the most salient pixel of the source image."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from proxy_keras import augment
from proxy_keras.augment.centre_surround import SURROUNDS, centre_surround
from proxy_keras.augment.stateless_random import beta, partners
from tests.augment.map_batches import levels, planted, seed, shares_shown, shown_class


def test_the_box_is_the_papers():
    images, labels = levels(n=6, side=20)
    made, mixed = augment.get("saliencymix")(images, labels, seed(), planted(6, 20, [(4, 13)]))
    partner = partners(6, tf.random.fold_in(seed(), 0)).numpy()
    drawn = beta([6], tf.random.fold_in(seed(), 1), 1.0).numpy()
    want = np.zeros((6, 20, 20), int) + np.arange(6)[:, None, None]
    for i in range(6):
        side = int(20 * np.sqrt(1 - drawn[i]))
        top, left = 4 - side // 2, 13 - side // 2
        want[i, max(top, 0) : top + side, max(left, 0) : left + side] = partner[i]
    np.testing.assert_array_equal(shown_class(made), want)
    np.testing.assert_allclose(shares_shown(made), mixed, atol=1e-6)


def test_a_blank_map_gives_random_positions():
    images, labels = levels(n=6, side=20)
    tops = set()
    for number in range(3):
        made, _ = augment.get("saliencymix")(images, labels, seed(number), tf.zeros([6, 1, 1]))
        is_pasted = shown_class(made) != np.arange(6)[:, None, None]
        tops |= {tuple(np.argwhere(one)[0]) for one in is_pasted if one.any()}
    assert len(tops) > 5


def test_image_saliency_needs_no_map_and_finds_the_odd_region():
    draw = np.random.default_rng(0)
    images = draw.uniform(90, 110, (4, 24, 24, 3)).astype(np.float32)
    images[:, 5:8, 15:18] = 255.0
    layer = augment.get("saliencymix", saliency="image")
    assert not layer.needs_maps
    made, _ = layer(tf.constant(images), tf.one_hot(range(4), 4), seed())
    heat = centre_surround(tf.constant(images)).numpy()
    assert heat.min() == 0.0 and heat.max() == 1.0
    for one in heat:
        row, column = np.unravel_index(one.argmax(), one.shape)
        assert 5 <= row < 8 and 15 <= column < 18
    assert np.isfinite(made.numpy()).all()


def test_centre_surround_matches_its_formula():
    image = np.random.default_rng(1).uniform(0, 255, (9, 7, 3)).astype(np.float32)
    grey = image.mean(axis=-1)
    want = np.zeros_like(grey)
    for reach in SURROUNDS:
        for y in range(9):
            for x in range(7):
                box = grey[max(0, y - reach) : y + reach + 1, max(0, x - reach) : x + reach + 1]
                want[y, x] += abs(grey[y, x] - (box.sum() - grey[y, x]) / (box.size - 1))
    want = (want - want.min()) / (want.max() - want.min())
    np.testing.assert_allclose(centre_surround(tf.constant(image[None]))[0], want, atol=1e-3)
    assert float(tf.reduce_max(centre_surround(tf.fill([1, 30, 30, 3], 77.7)))) == 0.0
