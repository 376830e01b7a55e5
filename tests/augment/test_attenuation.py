"""The proxy operation against small exact arrays and a NumPy reference."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy_keras.augment import REPLACEMENTS, area_thresholds, attenuate
from proxy_keras.augment.attenuation import Donors, paste, replaced_share
from proxy_keras.heatmaps.scaling import enlarge

IMAGE = np.array([[[[0.2, 1.0], [0.4, 0.0]], [[0.6, 0.5], [0.8, 0.5]]]], np.float32)  # [1, 2, 2, 2]
HEAT = np.array([[[1.0, 0.5], [0.4, 0.0]]], np.float32)


@pytest.mark.parametrize(
    ("replacement", "first", "second"),
    [
        ("blended", [0.2 * 0.25, 1.0 * 0.25], [0.4 * 0.625, 0.0]),  # 1 - 0.75 * heat
        ("mean", [0.5, 0.5], [0.5, 0.5]),
        ("max", [0.8, 1.0], [0.8, 1.0]),
        ("min", [0.2, 0.0], [0.2, 0.0]),
        ("halfmax", [0.4, 0.5], [0.4, 0.5]),
        ("black", [0.0, 0.0], [0.0, 0.0]),
        ("white", [1.0, 1.0], [1.0, 1.0]),
    ],
)
def test_hot_pixels_are_replaced_and_others_kept(replacement, first, second):
    proxy = attenuate(IMAGE, HEAT, threshold=0.5, weight=0.75, replacement=replacement).numpy()
    np.testing.assert_allclose(proxy[0, 0], [first, second], atol=1e-6)
    np.testing.assert_array_equal(proxy[0, 1], IMAGE[0, 1])


def _reference(image, heat, threshold, weight):
    """The thesis's blend, pixel by pixel."""
    proxy = image.copy()
    for y, x in np.ndindex(heat.shape):
        if heat[y, x] >= threshold:
            proxy[y, x] = (1 - weight * heat[y, x]) * image[y, x]
    return proxy


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 1000),
    threshold=st.floats(0, 1, width=32),
    weight=st.floats(0, 1, width=32),
)
def test_blend_matches_a_numpy_reference(seed, threshold, weight):
    draw = np.random.default_rng(seed)
    images = draw.random((3, 9, 7, 3), np.float32)
    heat = draw.random((3, 9, 7), np.float32)
    proxies = attenuate(images, heat, threshold=threshold, weight=weight).numpy()
    expected = [
        _reference(i, h, np.float32(threshold), weight) for i, h in zip(images, heat, strict=True)
    ]
    np.testing.assert_allclose(proxies, expected, atol=1 / 255)
    assert proxies.min() >= 0.0 and proxies.max() <= 1.0


def test_weight_zero_is_the_identity():
    images = np.random.default_rng(0).random((2, 8, 8, 3), np.float32)
    heat = np.random.default_rng(1).random((2, 8, 8), np.float32)
    np.testing.assert_array_equal(attenuate(images, heat, threshold=0.0, weight=0.0), images)


@pytest.mark.parametrize("replacement", REPLACEMENTS)
def test_every_replacement_keeps_cold_pixels_shape_and_range(replacement):
    images = np.random.default_rng(0).random((2, 40, 24, 3), np.float32)
    heat = np.zeros((2, 40, 24), np.float32)
    heat[:, 5:20, 3:9] = 1.0
    colour = np.array([0.2, 0.4, 0.6], np.float32)
    donors = Donors(images[::-1].copy(), heat > 0)
    proxies = attenuate(
        images, heat, threshold=0.5, weight=1, replacement=replacement, colour=colour, donors=donors
    ).numpy()
    np.testing.assert_array_equal(proxies[heat == 0], images[heat == 0])
    assert not np.array_equal(proxies, images)
    assert proxies.shape == images.shape and proxies.min() >= 0.0 and proxies.max() <= 1.0


def test_the_mean_of_the_data_replaces_hot_pixels():
    images, heat = np.ones((1, 1, 2, 3), np.float32), np.array([[[1.0, 0.0]]], np.float32)
    proxy = attenuate(images, heat, replacement="mean_of_data", colour=[0.1, 0.2, 0.3]).numpy()
    np.testing.assert_allclose(proxy, [[[[0.1, 0.2, 0.3], [1.0, 1.0, 1.0]]]], rtol=1e-6)


def test_exchange_takes_the_donor_where_it_is_hot_and_the_mean_elsewhere():
    images, heat = np.ones((1, 1, 3, 1), np.float32), np.array([[[1.0, 1.0, 0.0]]], np.float32)
    donors = Donors(np.full((1, 1, 3, 1), 0.7, np.float32), np.array([[[True, False, True]]]))
    proxy = attenuate(images, heat, replacement="exchange", colour=[0.2], donors=donors).numpy()
    np.testing.assert_allclose(proxy[0, 0, :, 0], [0.7, 0.2, 1.0], rtol=1e-6)


def test_paste_puts_the_hot_pixels_of_the_donor_on_the_image():
    images = np.zeros((1, 1, 2, 1), np.float32)
    donors = Donors(np.array([[[[9], [8]]]], np.uint8), np.array([[[True, False]]]))
    assert paste(images, donors).numpy().ravel().tolist() == [9.0, 0.0]


@pytest.mark.parametrize("replacement", ["mean_of_data", "exchange"])
def test_what_needs_the_data_says_so(replacement):
    with pytest.raises(ValueError, match="needs `colour`, the mean of the data"):
        attenuate(np.zeros((1, 2, 2, 3)), np.ones((1, 2, 2)), replacement=replacement)


def test_inpainting_continues_a_ramp_and_leaves_an_image_without_a_rim():
    ramp = np.repeat(np.linspace(0, 1, 16, dtype=np.float32)[:, None, None], 3, axis=2)
    ramp = np.stack([np.tile(ramp, (1, 16, 1))] * 2)
    heat = np.ones((2, 16, 16), np.float32)
    heat[0] = 0.0
    heat[0, 6:10, 6:10] = 1.0
    proxies = attenuate(ramp, heat, replacement="inpaint").numpy()
    np.testing.assert_allclose(proxies[0], ramp[0], atol=0.15)
    assert not np.array_equal(proxies[0], ramp[0])
    np.testing.assert_array_equal(proxies[1], ramp[1])


def test_blur_removes_detail_and_keeps_the_mean():
    stripes = np.tile(np.arange(64) % 2, (64, 1))[None, :, :, None].astype(np.float32)
    blurred = attenuate(stripes, np.ones((1, 64, 64), np.float32), replacement="blur").numpy()
    np.testing.assert_allclose(blurred, 0.5, atol=1e-6)


def test_noise_depends_on_its_seed_alone():
    images, heat = np.zeros((1, 8, 8, 3), np.float32), np.ones((1, 8, 8), np.float32)
    first, again, other = (
        attenuate(images, heat, replacement="noise", seed=(7, k)).numpy() for k in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).mean() > 0.1


def test_thresholds_may_differ_per_image():
    images = np.ones((2, 1, 2, 1), np.float32)
    heat = np.array([[[0.3, 0.9]], [[0.3, 0.9]]], np.float32)
    proxies = attenuate(images, heat, threshold=tf.constant([0.2, 0.5]), replacement="black")
    np.testing.assert_array_equal(proxies[..., 0], [[[0, 0]], [[1, 0]]])


def test_area_cap_keeps_the_hottest():
    heat = tf.constant([[[0.1, 0.9], [0.8, 0.7]], [[0.0, 0.2], [0.1, 0.3]]])
    limit = area_thresholds(heat, threshold=0.5, max_area=0.5)
    # First map: two pixels are replaced, so the third hottest (0.7) is excluded. Second: none hot.
    np.testing.assert_allclose(limit, [0.7, 0.5], atol=1e-6)
    np.testing.assert_array_equal(replaced_share(heat, limit), [0.5, 0.0])


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.floats(0.01, 1.0), st.floats(0, 1, width=32))
def test_area_cap_is_never_exceeded(seed, max_area, threshold):
    cells = np.random.default_rng(seed).integers(0, 5, (4, 3, 3)) / np.float32(4)
    heat = enlarge(tf.constant(cells), (16, 16))
    limit = area_thresholds(heat, threshold=threshold, max_area=max_area)
    assert (replaced_share(heat, limit).numpy() <= max_area + 1e-6).all()
    assert (limit.numpy() >= np.float32(threshold)).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weight": 1.5}, r"`weight` must be in \[0, 1\]. Received: 1.5"),
        ({"threshold": -0.1}, r"`threshold` must be in \[0, 1\]. Received: -0.1"),
        ({"replacement": "red"}, "`replacement` must be one of blended.*Received: 'red'"),
    ],
)
def test_bad_settings_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        attenuate(IMAGE, HEAT, **options)
