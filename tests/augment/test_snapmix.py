"""SnapMix: labels by heat, which need not sum to 1, and the loss for them."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from proxy_keras import augment
from proxy_keras.augment.snapmix import SnapMix, cross_entropy_of_shares
from proxy_keras.augment.stateless_random import partners
from tests.augment.map_batches import levels, seed, shown_class


class Planted(SnapMix):
    """Covers rows 0 to 3 and columns 0 to 5, and pastes rows 4 to 7 and columns 2 to 7."""

    def _boxes(self, count, side, seed):
        given = [[0, 0, 4, 6], [4, 2, 8, 8]][len(self.calls) % 2]
        self.calls.append(given)
        return tf.constant([given] * 3)


def test_labels_are_the_kept_and_the_pasted_heat():
    images, labels = levels(n=3, side=8)
    maps = np.random.default_rng(0).random((3, 8, 8)).astype(np.float32)
    layer = Planted()
    layer.calls = []
    made, mixed = layer(images, labels, seed(), tf.constant(maps))
    partner = partners(3, tf.random.fold_in(seed(), 0)).numpy()
    percent = maps / maps.sum(axis=(1, 2), keepdims=True)
    kept = 1 - percent[:, :4, :6].sum(axis=(1, 2))
    brought = percent[partner][:, 4:, 2:].sum(axis=(1, 2))
    want = kept[:, None] * np.eye(3) + brought[:, None] * np.eye(3)[partner]
    np.testing.assert_allclose(mixed, want, atol=1e-5)
    shown = shown_class(made)
    np.testing.assert_array_equal(shown[:, :4, :6], np.tile(partner[:, None, None], (1, 4, 6)))
    assert (shown[:, 4:] == np.arange(3)[:, None, None]).all()


def test_the_pasted_box_is_resized():
    ramp = np.tile(np.arange(8, dtype=np.float32)[:, None, None] * 20, (2, 1, 8, 3))
    layer = Planted()
    layer.calls = []
    layer._boxes = lambda count, side, seed: tf.constant(
        [[[0, 0, 8, 8]] * 2, [[0, 0, 4, 8]] * 2][_once(layer)]
    )
    made, _ = layer(tf.constant(ramp), tf.one_hot([0, 1], 2), seed(), tf.ones([2, 4, 4]))
    # Rows 0 to 3 spread over 8 rows: sampled at (y + 0.5) / 2 - 0.5.
    want = 20 * np.clip((np.arange(8) + 0.5) / 2 - 0.5, 0, None)
    np.testing.assert_allclose(made[0, :, 3, 0], want, atol=1e-3)


def _once(layer):
    layer.calls.append(0)
    return (len(layer.calls) - 1) % 2


def test_covering_an_object_with_background_removes_its_label():
    images, labels = levels(n=3, side=8)
    maps = np.zeros((3, 8, 8), np.float32)
    maps[:, 1, 1] = 1.0  # inside the covered box, outside the pasted one
    layer = Planted()
    layer.calls = []
    _, mixed = layer(images, labels, seed(), tf.constant(maps))
    assert mixed.numpy().sum() < 0.2
    layer = Planted(sum_to_one=True)
    layer.calls = []
    _, mixed = layer(images, labels, seed(), tf.constant(maps))
    np.testing.assert_allclose(mixed.numpy().sum(axis=1), 1.0, atol=1e-6)


def test_blank_maps_give_shares_by_area():
    images, labels = levels(n=3, side=8)
    layer = Planted()
    layer.calls = []
    _, mixed = layer(images, labels, seed(), tf.zeros([3, 1, 1]))
    partner = partners(3, tf.random.fold_in(seed(), 0)).numpy()
    want = (1 - 24 / 64) * np.eye(3) + 24 / 64 * np.eye(3)[partner]
    np.testing.assert_allclose(mixed, want, atol=1e-6)


def test_the_loss_and_its_gradient_are_the_weighted_sum_of_cross_entropies():
    logits = tf.Variable(np.random.default_rng(0).normal(size=(1, 3)).astype(np.float32))
    labels = tf.constant([[0.9, 0.0, 0.8]])
    with tf.GradientTape(persistent=True) as tape:
        ours = cross_entropy_of_shares(labels, logits)
        one = tf.nn.sparse_softmax_cross_entropy_with_logits([0], logits)
        two = tf.nn.sparse_softmax_cross_entropy_with_logits([2], logits)
        want = 0.9 * one + 0.8 * two
        theirs = tf.nn.softmax_cross_entropy_with_logits(labels, logits)
    np.testing.assert_allclose(ours, want, rtol=1e-6)
    right = tape.gradient(want, logits)
    np.testing.assert_allclose(tape.gradient(ours, logits), right, atol=1e-6)
    # TensorFlow's gradient is wrong here.
    assert np.abs(tape.gradient(theirs, logits) - right).max() > 0.05


def test_it_is_in_the_registry():
    assert isinstance(augment.get("snapmix"), SnapMix)
