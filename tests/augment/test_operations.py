"""Operations against Pillow, which the RandAugment and AugMix papers used."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from proxy_keras.augment import operations

DRAW = np.random.default_rng(0)
IMAGE = (DRAW.integers(20, 200, (24, 32, 3)) // np.array([1, 2, 1])).astype(np.uint8)


def apply(name: str, level: float, image: np.ndarray = IMAGE) -> np.ndarray:
    return operations.OPERATIONS[name](tf.constant(image, tf.float32), tf.constant(level)).numpy()


@pytest.mark.parametrize(
    ("name", "level", "expected", "tolerance"),
    [
        ("auto_contrast", 1.0, ImageOps.autocontrast(Image.fromarray(IMAGE)), 1.01),
        ("equalize", 1.0, ImageOps.equalize(Image.fromarray(IMAGE)), 0),
        ("posterize", 0.75, ImageOps.posterize(Image.fromarray(IMAGE), 5), 0),
        ("solarize", 0.5, ImageOps.solarize(Image.fromarray(IMAGE), 128), 0),
        ("colour", -0.5, ImageEnhance.Color(Image.fromarray(IMAGE)).enhance(0.55), 1.6),
        ("colour", 1.0, ImageEnhance.Color(Image.fromarray(IMAGE)).enhance(1.9), 2.0),
        ("contrast", 0.5, ImageEnhance.Contrast(Image.fromarray(IMAGE)).enhance(1.45), 1.6),
        ("brightness", -0.5, ImageEnhance.Brightness(Image.fromarray(IMAGE)).enhance(0.55), 1.01),
        ("brightness", 1.0, ImageEnhance.Brightness(Image.fromarray(IMAGE)).enhance(1.9), 1.01),
        ("sharpness", -1.0, ImageEnhance.Sharpness(Image.fromarray(IMAGE)).enhance(0.1), 1.6),
        ("sharpness", 1.0, ImageEnhance.Sharpness(Image.fromarray(IMAGE)).enhance(1.9), 2.0),
    ],
)
def test_colour_operations_match_pillow(name, level, expected, tolerance):
    np.testing.assert_allclose(apply(name, level), np.asarray(expected, np.float32), atol=tolerance)


def test_the_smoothed_image_matches_pillow():
    expected = np.asarray(Image.fromarray(IMAGE).filter(ImageFilter.SMOOTH), np.float32)
    # Factor 1 + ENHANCE * level = 0.
    made = apply("sharpness", -1.0 / operations.ENHANCE)
    np.testing.assert_allclose(made[1:-1, 1:-1], expected[1:-1, 1:-1], atol=0.6)


@pytest.mark.parametrize("value", [0, 100, 255])
def test_a_constant_image_is_unchanged(value):
    image = np.full([8, 8, 3], value, np.uint8)
    for name in ("auto_contrast", "equalize"):
        np.testing.assert_array_equal(apply(name, 1.0, image), image)


@pytest.mark.parametrize("name", sorted(set(operations.OPERATIONS) - {"auto_contrast", "equalize"}))
def test_at_level_0_nothing_changes(name):
    np.testing.assert_allclose(apply(name, 0.0), IMAGE, atol=1e-4)


def test_translations_are_whole_pixels_with_grey_fill():
    image = np.arange(20, dtype=np.float32)[None, :, None] * np.ones([4, 20, 3], np.float32)
    left = apply("translate_x", 1.0, image)[0, :, 0]
    np.testing.assert_array_equal(left, [*range(9, 20), *[128] * 9])
    up = apply("translate_y", 0.5, np.swapaxes(image, 0, 1))[:, 0, 0]
    np.testing.assert_array_equal(up[:16], np.arange(4, 20))


def test_a_rotation_is_about_the_centre():
    # A line through the centre, at the largest angle, 30 degrees.
    image = np.zeros([41, 41, 3], np.float32)
    image[20] = 200.0
    made = apply("rotate", 1.0, image)[..., 0]
    for x in (-14, 0, 14):
        column = made[:, 20 + x]
        assert abs(column.argmax() - (20 - x * np.tan(np.radians(30)))) <= 1


def test_a_shear_moves_each_row_in_proportion():
    image = np.arange(40, dtype=np.float32)[None, :, None] * np.ones([11, 40, 3], np.float32)
    made = apply("shear_x", 1.0, image)[..., 0]
    np.testing.assert_allclose(made[10, :30] - made[0, :30], 3.0, atol=1e-3)
    made = apply("shear_y", 1.0, np.swapaxes(image, 0, 1))[..., 0]
    np.testing.assert_allclose(made[:30, 10] - made[:30, 0], 3.0, atol=1e-3)


@pytest.mark.parametrize("name", ["shear_x", "shear_y"])
@pytest.mark.parametrize("level", [-0.9, 0.35])
def test_shears_match_projective_transforms_with_grey_fill(name, level):
    slope = operations.SHEAR * level
    rows = [1.0, slope, 0, 0, 1, 0] if name == "shear_x" else [1.0, 0, 0, slope, 1, 0]
    expected = tf.raw_ops.ImageProjectiveTransformV3(
        images=tf.constant(IMAGE[None], tf.float32),
        transforms=[[*rows, 0.0, 0.0]],
        output_shape=IMAGE.shape[:2],
        fill_value=128.0,
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )
    np.testing.assert_allclose(apply(name, level), expected[0], atol=1e-3)


@pytest.mark.parametrize("is_graph", [False, True])
def test_a_chain_applies_its_first_operations_in_turn(is_graph):
    names = ["identity", "solarize", "translate_x"]
    image, levels = tf.constant(IMAGE, tf.float32), tf.constant([0.5, -0.4, 0.3])
    chain = tf.function(operations.apply_chain) if is_graph else operations.apply_chain
    expected = image
    for length in range(4):
        if length > 0:
            name = names[(2, 1, 2)[length - 1]]
            expected = operations.OPERATIONS[name](expected, levels[length - 1])
        made = chain(names, image, tf.constant([2, 1, 2]), levels, tf.constant(length))
        np.testing.assert_array_equal(made, expected)
