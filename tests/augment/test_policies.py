"""RandAugment and AugMix: chains, weights, and mixtures."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from proxy_keras.augment import policies
from proxy_keras.augment.operations import OPERATIONS

SEED = tf.constant([3, 0], tf.int64)
IMAGES = tf.constant(np.random.default_rng(0).uniform(0, 255, (3, 12, 12, 3)), tf.float32)
LABELS = tf.eye(3)


def test_randaugment_applies_the_drawn_operations_in_sequence(monkeypatch):
    names = [["solarize", "rotate"], ["rotate", "posterize"], ["colour", "solarize"]]
    choice = tf.constant([[policies.ALL.index(name) for name in row] for row in names])
    signs = tf.constant([[1.0, 1.0], [-1.0, 1.0], [1.0, -1.0]])
    monkeypatch.setattr(policies, "integers", lambda *_: choice)
    monkeypatch.setattr(policies, "_signs", lambda *_: signs)
    made, labels = policies.RandAugment(operations=2, magnitude=0.4)(IMAGES, LABELS, SEED)
    for place, (first, second) in enumerate(names):
        levels = 0.4 * signs[place]
        expected = OPERATIONS[second](OPERATIONS[first](IMAGES[place], levels[0]), levels[1])
        np.testing.assert_array_equal(made[place], expected)
    np.testing.assert_array_equal(labels, LABELS)


def test_images_of_a_batch_get_different_operations():
    images = tf.repeat(IMAGES[:1], 12, axis=0)
    made, _ = policies.RandAugment(operations=1)(images, tf.ones([12, 1]), SEED)
    assert len({image.tobytes() for image in made.numpy()}) > 5


def test_the_mixture_is_algorithm_1():
    chains = tf.constant([10.0, 30.0])[:, None, None, None]
    made = policies.mixture(
        tf.fill([1, 1, 1], 100.0), chains, tf.constant([0.25, 0.75]), tf.constant(0.4)
    )
    expected = 0.4 * 100 + 0.6 * (0.25 * 10 + 0.75 * 30)
    np.testing.assert_allclose(made, [[[expected]]], rtol=1e-6)


def test_chains_have_the_drawn_lengths(monkeypatch):
    names = [name for name in policies.ALL if name not in policies.CORRUPTIONS]
    place = names.index("translate_x") - 1
    lengths = np.array([[1, 2, 3], [3, 1, 1], [2, 2, 3]])
    weights, own_weight = np.random.default_rng(1).dirichlet([1.0] * 3, 3), [0.1, 0.5, 0.7]
    # The operations of all steps, then the lengths.
    drawn = iter([tf.fill([3, 3, 3], place), tf.constant(lengths - 1, tf.int32)])
    monkeypatch.setattr(policies, "integers", lambda *_: next(drawn))
    monkeypatch.setattr(policies, "uniform", lambda shape, *_: tf.fill(shape, 0.2))
    monkeypatch.setattr(policies, "_signs", lambda shape, _: tf.ones(shape))
    monkeypatch.setattr(policies, "dirichlet", lambda *_: tf.constant(weights, tf.float32))
    monkeypatch.setattr(policies, "beta", lambda *_: tf.constant(own_weight))
    made, labels = policies.AugMix()(IMAGES, LABELS, SEED)
    for image, *drawn_for_it, result in zip(
        IMAGES.numpy(), lengths, weights, own_weight, made, strict=True
    ):
        after = [image]
        for _ in range(3):
            after.append(OPERATIONS["translate_x"](after[-1], tf.constant(0.2)).numpy())
        lengths_of_it, weights_of_it, m = drawn_for_it
        mixed = sum(w * after[n] for w, n in zip(weights_of_it, lengths_of_it, strict=True))
        np.testing.assert_allclose(result, m * image + (1 - m) * mixed, atol=1e-3)
    np.testing.assert_array_equal(labels, LABELS)


def test_augmix_excludes_corruptions_of_benchmarks(monkeypatch):
    seen = []
    monkeypatch.setattr(
        policies, "apply_chain", lambda names, image, *_: seen.append(names) or image
    )
    policies.AugMix(width=1)(IMAGES[:1], LABELS[:1], SEED)
    policies.AugMix(width=1, all_operations=True)(IMAGES[:1], LABELS[:1], SEED)
    assert set(seen[1]) - set(seen[0]) == set(policies.CORRUPTIONS)


@pytest.mark.parametrize("make", [policies.AugMix, policies.RandAugment])
def test_at_magnitude_0_nothing_changes(make):
    np.testing.assert_array_equal(make(magnitude=0.0)(IMAGES, LABELS, SEED)[0], IMAGES)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: policies.RandAugment(operations=1.5), "`operations` must be a whole number"),
        (lambda: policies.RandAugment(magnitude=2), "`magnitude` must be in"),
        (lambda: policies.AugMix(width=0), "`width` must be a whole number >= 1"),
        (lambda: policies.AugMix(alpha=0), "`alpha` must be > 0"),
    ],
)
def test_options_are_checked(make, message):
    with pytest.raises(ValueError, match=message):
        make()
