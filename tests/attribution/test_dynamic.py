"""Dynamic visual attention: coding lengths against finite differences, and planted targets."""

import numpy as np
import pytest
import tensorflow as tf

from proxy_keras.attribution.dynamic import Dynamic, energies
from proxy_keras.attribution.natural_image_filters import natural_image_filters


def test_a_planted_target_is_the_maximum(check_image_saliency):
    check_image_saliency("dynamic")


def test_energies_are_the_positive_increments_of_entropy():
    shares = np.random.default_rng(0).dirichlet(np.full(12, 0.5), 3)

    def entropy(p):
        return -(p * np.log(p)).sum()

    step = 1e-6
    for row, got in zip(shares, energies(tf.constant(shares, tf.float32)).numpy(), strict=True):
        gains = np.array([entropy((row + step * e) / (1 + step)) for e in np.eye(12)])
        lengths = np.maximum((gains - entropy(row)) / step, 0)
        np.testing.assert_allclose(got, lengths / lengths.sum(), atol=1e-3)


def test_filters_that_do_not_answer_get_no_energy():
    shares = tf.constant([[0.9, 0.1, 0.0], [0.0, 0.0, 0.0]])
    np.testing.assert_allclose(energies(shares), [[0, 1, 0], [0, 0, 0]])


def test_saliency_is_the_answers_weighted_by_their_energy():
    image = np.random.default_rng(0).normal(size=(10, 12)).astype(np.float32)
    padded = np.pad(image, 4, mode="symmetric")[:-1, :-1]
    windows = np.lib.stride_tricks.sliding_window_view(padded, (8, 8))
    answers = np.abs(np.einsum("hwij,ijf->hwf", windows, natural_image_filters()[:, :, 0]))
    shares = answers.sum(axis=(0, 1)) / answers.sum()
    expected = answers @ energies(tf.constant(shares[None], tf.float32)).numpy()[0]
    got = Dynamic().saliency_maps(image[None, :, :, None])[0]
    np.testing.assert_allclose(got, expected, rtol=1e-3)


def test_filters_are_sparse_on_natural_patches_blind_to_brightness_and_always_the_same():
    filters = natural_image_filters()
    assert filters.shape == (8, 8, 1, 48)
    np.testing.assert_allclose(filters.sum(axis=(0, 1, 2)), 0, atol=1e-3)
    natural_image_filters.cache_clear()
    np.testing.assert_array_equal(natural_image_filters(), filters)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"side": 4}, "`side` must be >= 8.*Received: 4"),
        ({"blur": -0.5}, "`blur` must be >= 0.*Received: -0.5"),
    ],
)
def test_options_outside_their_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Dynamic(**options)
