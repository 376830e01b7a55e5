"""AWS: whitening against NumPy, its filters, and planted targets."""

import numpy as np
import pytest
import tensorflow as tf

from proxy_keras.attribution.whitening import Whitening, log_gabor_filters, whiten


def test_a_planted_target_is_the_maximum(check_image_saliency):
    check_image_saliency("whitening")


def test_squared_lengths_are_mahalanobis_distances():
    rng = np.random.default_rng(0)
    samples = (rng.normal(size=(2, 200, 4)) @ rng.normal(size=(4, 4)) + 5).astype(np.float32)
    white = whiten(samples).numpy()
    for one, expected in zip(white, samples.astype(float), strict=True):
        centred = expected - expected.mean(axis=0)
        inverse = np.linalg.inv(np.cov(expected.T, bias=True))
        distances = np.einsum("ni,ij,nj->n", centred, inverse, centred)
        np.testing.assert_allclose((one**2).sum(axis=1), distances, rtol=0.05)
        np.testing.assert_allclose(np.cov(one.T, bias=True), np.eye(4), atol=0.05)


def test_components_without_variance_stay_zero():
    grey = np.repeat(np.random.default_rng(0).normal(size=(50, 1)), 3, axis=1)
    white = whiten(tf.constant(grey, tf.float32)).numpy()
    np.testing.assert_allclose(white.std(axis=0), [0, 0, 1], atol=1e-3)
    assert not whiten(tf.zeros([5, 3])).numpy().any()


def test_each_filter_answers_to_waves_of_its_length_and_direction():
    filters = log_gabor_filters(tf.constant([64, 64]), 3).numpy()
    rows, columns = np.mgrid[:64, :64]
    for orientation, (down, right) in enumerate([(0, 1), (1, 1), (1, 0), (1, -1)]):
        for scale, cycles in enumerate((16, 9, 6)):
            norm = np.hypot(down, right)
            turns = rows * round(down * cycles / norm) + columns * round(right * cycles / norm)
            wave = np.cos(2 * np.pi * turns / 64)
            energy = np.abs(np.fft.ifft2(np.fft.fft2(wave) * filters)).mean(axis=(2, 3))
            assert np.unravel_index(energy.argmax(), energy.shape) == (orientation, scale)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scales": 1}, "`scales` must be >= 2. Received: 1"),
        ({"side": 4}, "`side` must be >= 8.*Received: 4"),
    ],
)
def test_options_outside_their_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Whitening(**options)
