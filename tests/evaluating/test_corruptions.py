"""Corrupted images are valid 8-bit images, worse by severity, and independent of the batch."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from proxy_keras.evaluating.corruptions import CORRUPTIONS, SEVERITIES, corrupt


def photographs(count, side):
    """Return [count, side, side, 3]: smooth shapes with grain that look alike at any size."""
    draw = np.random.default_rng(0)
    shapes = gaussian_filter(draw.normal(size=(count, 224, 224, 3)), (0, 12, 12, 0))
    images = 128 + 45 * shapes / shapes.std() + draw.normal(0, 3, shapes.shape)
    step = 224 // side
    blocks = images.reshape(count, side, step, side, step, 3).mean(axis=(2, 4))
    return np.clip(np.rint(blocks), 0, 255).astype(np.float32)


IMAGES = photographs(5, 32)
PLACES = np.arange(5)


def change(name, severity, images=IMAGES):
    """Return the mean change of a pixel in grey levels."""
    worse = corrupt(images, name, severity, np.arange(len(images)))
    return float(np.abs(worse - images).mean())


def test_the_six_of_the_issue():
    names = ["noise", "blur", "brightness", "contrast", "jpeg", "pixelate"]
    assert list(CORRUPTIONS) == names and SEVERITIES == (1, 2, 3)


@pytest.mark.parametrize("name", CORRUPTIONS)
@pytest.mark.parametrize("side", [8, 28, 32, 56])
def test_images_stay_images(name, side):
    images = photographs(2, 32)[:, :side, :side] if side != 56 else photographs(2, 56)
    before = images.copy()
    for severity in SEVERITIES:
        worse = corrupt(images, name, severity, np.arange(2))
        assert worse.shape == images.shape and worse.dtype == np.float32
        assert worse.min() >= 0 and worse.max() <= 255
        np.testing.assert_array_equal(worse, np.rint(worse))
    assert (worse != images).any()
    np.testing.assert_array_equal(images, before)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_each_severity_is_worse(name):
    mild, middle, severe = (change(name, severity) for severity in SEVERITIES)
    assert 0.2 < mild < middle < severe < 128


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_an_image_becomes_the_same_in_any_batch(name):
    together = corrupt(IMAGES, name, 2, PLACES, seed=3)
    order = np.array([4, 1])
    np.testing.assert_array_equal(corrupt(IMAGES[order], name, 2, order, seed=3), together[order])
    np.testing.assert_array_equal(
        corrupt(IMAGES.astype(np.uint8), name, 2, PLACES, seed=3), together
    )


@pytest.mark.parametrize("name", ["noise", "brightness"])
def test_what_is_drawn_depends_on_the_seed_and_the_image(name):
    images = np.repeat(IMAGES[:1], 40, axis=0)
    places = np.arange(40)
    first = corrupt(images, name, 1, places)
    assert (first != corrupt(images, name, 1, places, seed=1)).any()
    assert (first != first[:1]).any()


@pytest.mark.parametrize("name", ["blur", "jpeg", "pixelate"])
def test_small_images_are_not_erased(name):
    small, large = (change(name, 3, photographs(3, side)) for side in (32, 224))
    # At the strengths for 224 pixels they would change several times as much.
    assert small < 2.0 * large + 3.0


def test_light_and_contrast_are_what_they_say():
    grey = np.full([64, 8, 8, 3], 100.0, np.float32)
    means = corrupt(grey, "brightness", 1, np.arange(64)).mean(axis=(1, 2, 3))
    assert set(means) == {round(100 - 25.5), round(100 + 25.5)}
    assert 16 < (means > 100).sum() < 48
    stripes = np.where(np.arange(8) % 2, 200.0, 100.0).astype(np.float32)
    stripes = np.broadcast_to(stripes[:, None], [1, 8, 8, 3])
    assert set(corrupt(stripes, "contrast", 2, np.zeros(1, int)).ravel()) == {140.0, 160.0}


@pytest.mark.parametrize("side", [8, 32, 224])
def test_blur_has_its_width_in_proportion_to_the_side(side):
    line = np.zeros([1, side, side, 3], np.float32)
    line[:, :, side // 2] = 255
    profile = corrupt(line, "blur", 3, np.zeros(1, int))[0, 0, :, 0]
    variance = np.average(np.square(np.arange(side) - side // 2), weights=profile)
    assert variance == pytest.approx((6 * side / 224) ** 2, rel=0.1)


def test_noise_has_its_strength():
    grey = np.full([2, 56, 56, 3], 128.0, np.float32)
    worse = corrupt(grey, "noise", 1, np.arange(2))
    # Half of 0.08, because the side is a quarter of 224.
    assert worse.std() == pytest.approx(255 * 0.04, rel=0.05)
    assert worse.mean() == pytest.approx(128, abs=0.3)


def test_coarse_pixels_are_coarse():
    worse = corrupt(photographs(1, 224), "pixelate", 3, np.zeros(1, int))
    blocks = worse.reshape(1, 56, 4, 56, 4, 3)
    assert (blocks == blocks[:, :, :1, :, :1]).all()


def test_unknown_ones_are_refused():
    with pytest.raises(ValueError, match="one of noise, blur"):
        corrupt(IMAGES, "snow", 1, PLACES)
    with pytest.raises(ValueError, match="`severity`"):
        corrupt(IMAGES, "blur", 4, PLACES)
