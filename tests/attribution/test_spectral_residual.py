"""Spectral residual saliency against the paper's formula, and on planted targets."""

import numpy as np
import pytest
from scipy import ndimage

from proxy_keras.attribution.spectral_residual import SpectralResidual


def test_a_planted_target_is_the_maximum(check_image_saliency):
    check_image_saliency("spectral_residual")


def test_it_is_the_papers_formula():
    image = np.random.default_rng(0).normal(size=(20, 24)).astype(np.float32)
    spectrum = np.fft.fft2(image)
    logs, phase = np.log(np.abs(spectrum)), np.angle(spectrum)
    residual = logs - ndimage.uniform_filter(logs, 3, mode="wrap")
    expected = np.abs(np.fft.ifft2(np.exp(residual + 1j * phase))) ** 2
    got = SpectralResidual().saliency_maps(image[None, :, :, None])[0]
    np.testing.assert_allclose(got, expected, rtol=0.05, atol=2e-3 * expected.max())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"side": 7}, "`side` must be >= 8.*Received: 7"),
        ({"blur": -0.1}, "`blur` must be >= 0.*Received: -0.1"),
    ],
)
def test_options_outside_their_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        SpectralResidual(**options)
