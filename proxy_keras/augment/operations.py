"""Operations on a single image, at a given level, for RandAugment and AugMix.

Keras has layers for most of them, but they draw one operation for the whole batch, during tracing
(AugMix), ignore the given seed, and equalise a batch with one histogram.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import tensorflow as tf

from proxy_keras.augment.geometry import rotate

Operation = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
"""(image [H, W, C] float32 in [0, 255], level [] in [-1, 1]) -> image of the same shape and range.

At level 0 nothing changes, except for `auto_contrast` and `equalize`, which ignore the level. The
sign is the direction; operations without a direction use the magnitude.
"""

DEGREES, SHEAR, TRANSLATE, BITS, ENHANCE = 30.0, 0.3, 0.45, 4.0, 0.9
"""Magnitudes at level 1: AutoAugment's largest (Cubuk et al. 2019, table 6).

Degrees; shear; share of the side; bits removed; and the distance from 1 of the factor of colour,
contrast, brightness and sharpness.
"""

OUTSIDE = 128.0
"""Fill value beyond the image border: RandAugment's grey."""


def _identity(image: tf.Tensor, level: tf.Tensor) -> tf.Tensor:
    return image


def _size(image: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return (H, W) as int32 scalars."""
    shape = tf.shape(image)
    return shape[0], shape[1]


def _rotate(image: tf.Tensor, level: tf.Tensor) -> tf.Tensor:
    """Rotate counter-clockwise on screen, about the centre."""
    angle = math.radians(DEGREES) * level
    return rotate(image[tf.newaxis], angle[tf.newaxis], "CONSTANT", OUTSIDE)[0]


# Shears shift rows and columns: three times as fast as a projective transform, with equal results.


def _split(shifts: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the integer parts, int32, and the fractional parts, in [0, 1)."""
    whole = tf.floor(shifts)
    return tf.cast(whole, tf.int32), shifts - whole


def _pixels(image: tf.Tensor, indices: tf.Tensor) -> tf.Tensor:
    """Return the pixels at row-major indices [H', W'] int32: [H', W' * C]."""
    channels = image.shape[-1]
    # Faster than `gather` for slices of one pixel.
    pixels = tf.gather_nd(tf.reshape(image, [-1, channels]), indices[..., tf.newaxis])
    return tf.reshape(pixels, [tf.shape(indices)[0], -1])


def _shear_x(image: tf.Tensor, level: tf.Tensor) -> tf.Tensor:
    height, width = _size(image)
    channels = image.shape[-1]
    y = tf.range(height)[:, tf.newaxis]
    whole, share = _split(SHEAR * level * tf.cast(y, tf.float32))
    framed = tf.pad(image, [[0, 0], [1, 1], [0, 0]], constant_values=OUTSIDE)
    x = tf.clip_by_value(1 + tf.range(width + 1) + whole, 0, width + 1)
    read = _pixels(framed, y * (width + 2) + x)
    near, far = read[:, :-channels], read[:, channels:]
    return tf.reshape(near + share * (far - near), tf.shape(image))


def _shear_y(image: tf.Tensor, level: tf.Tensor) -> tf.Tensor:
    height, width = _size(image)
    x = tf.range(width)
    whole, share = _split(SHEAR * level * tf.cast(x, tf.float32))
    framed = tf.pad(image, [[1, 1], [0, 0], [0, 0]], constant_values=OUTSIDE)
    y = tf.clip_by_value(1 + tf.range(height + 1)[:, tf.newaxis] + whole, 0, height + 1)
    read = _pixels(framed, y * width + x)
    near, far = read[:-1], read[1:]
    share = tf.repeat(share, image.shape[-1])
    return tf.reshape(near + share * (far - near), tf.shape(image))


def _translate(image: tf.Tensor, level: tf.Tensor, axis: int) -> tf.Tensor:
    side = tf.shape(image)[axis]
    shift = tf.cast(tf.round(TRANSLATE * level * tf.cast(side, tf.float32)), tf.int32)
    near, far = tf.maximum(shift, 0), tf.maximum(-shift, 0)
    kept = image[near : side - far] if axis == 0 else image[:, near : side - far]
    paddings = [[0, 0], [0, 0], [0, 0]]
    paddings[axis] = [far, near]
    return tf.pad(kept, paddings, constant_values=OUTSIDE)


def _solarize(image: tf.Tensor, level: tf.Tensor) -> tf.Tensor:
    # `tf.where` is four times as fast over two axes as over three.
    flat = tf.reshape(image, [1, -1])
    made = tf.where(flat < 256.0 * (1.0 - tf.abs(level)), flat, 255.0 - flat)
    return tf.reshape(made, tf.shape(image))


def _posterize(image: tf.Tensor, level: tf.Tensor) -> tf.Tensor:
    step = tf.pow(2.0, tf.round(BITS * tf.abs(level)))
    # A step of 1 would round fractional values.
    return tf.cond(step > 1.0, lambda: tf.floor(image / step) * step, lambda: image)


def _auto_contrast(image: tf.Tensor, level: tf.Tensor) -> tf.Tensor:
    height, width = _size(image)
    # Reducing the rows first is three times as fast as reducing both axes together.
    low = tf.reduce_min(tf.reduce_min(image, axis=0), axis=0)
    high = tf.reduce_max(tf.reduce_max(image, axis=0), axis=0)
    is_flat = high <= low
    scale = tf.where(is_flat, 1.0, 255.0 / tf.where(is_flat, 1.0, high - low))
    low = tf.where(is_flat, 0.0, low)
    # Broadcasting per-channel values along one axis is much faster than along two.
    rows = tf.reshape(image, [height, -1])
    stretched = (rows - tf.tile(low, [width])) * tf.tile(scale, [width])
    return tf.reshape(tf.clip_by_value(stretched, 0.0, 255.0), tf.shape(image))


def _equalize(image: tf.Tensor, level: tf.Tensor) -> tf.Tensor:
    """Equalise each channel with Pillow's integer arithmetic."""
    height, width = _size(image)
    channels = image.shape[-1]
    rows = tf.reshape(tf.cast(tf.clip_by_value(image, 0.0, 255.0), tf.int32), [height, -1])
    # One histogram and one lookup table hold 256 bins per channel.
    bins = rows + tf.tile(256 * tf.range(channels), [width])
    counts = tf.math.bincount(
        tf.reshape(bins, [-1]), minlength=256 * channels, maxlength=256 * channels
    )
    histogram = tf.reshape(counts, [channels, 256])
    last = tf.reduce_max(tf.where(histogram > 0, tf.range(256), 0), axis=1, keepdims=True)
    step = (height * width - tf.gather(histogram, last, batch_dims=1)) // 255
    before = tf.cumsum(histogram, axis=1, exclusive=True)
    table = tf.minimum((before + step // 2) // tf.maximum(step, 1), 255)
    # A channel is unchanged if it is constant, or has few pixels below its brightest value.
    table = tf.where(step > 0, table, tf.range(256))
    # `gather_nd` is nearly twice as fast here as `gather`.
    new = tf.gather_nd(tf.reshape(tf.cast(table, tf.float32), [-1]), bins[..., tf.newaxis])
    return tf.reshape(new, tf.shape(image))


def _enhance(image: tf.Tensor, degenerate: tf.Tensor, level: tf.Tensor) -> tf.Tensor:
    factor = 1.0 + ENHANCE * level
    return tf.clip_by_value(degenerate + factor * (image - degenerate), 0.0, 255.0)


def _grey(image: tf.Tensor) -> tf.Tensor:
    if image.shape[-1] != 3:
        return tf.reduce_mean(image, axis=-1, keepdims=True)
    red, green, blue = (image[..., channel : channel + 1] for channel in range(3))
    return 0.299 * red + 0.587 * green + 0.114 * blue


def _colour(image: tf.Tensor, level: tf.Tensor) -> tf.Tensor:
    return _enhance(image, _grey(image), level)


def _contrast(image: tf.Tensor, level: tf.Tensor) -> tf.Tensor:
    return _enhance(image, tf.reduce_mean(_grey(image)), level)


def _brightness(image: tf.Tensor, level: tf.Tensor) -> tf.Tensor:
    return _enhance(image, tf.zeros([], tf.float32), level)


def _sharpness(image: tf.Tensor, level: tf.Tensor) -> tf.Tensor:
    return tf.cond(
        tf.reduce_min(_size(image)) < 3, lambda: image, lambda: _sharpen_inside(image, level)
    )


def _sharpen_inside(image: tf.Tensor, level: tf.Tensor) -> tf.Tensor:
    # Sums of shifted images; TensorFlow's depthwise convolution is much slower.
    rows = image[:-2] + image[1:-1] + image[2:]
    inner = image[1:-1, 1:-1]
    smooth = (rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:] + 4.0 * inner) / 13.0
    middle = _enhance(inner, smooth, level)
    # Edge pixels are unchanged, because they lack neighbours.
    middle = tf.concat([image[1:-1, :1], middle, image[1:-1, -1:]], axis=1)
    return tf.concat([image[:1], middle, image[-1:]], axis=0)


OPERATIONS: dict[str, Operation] = {
    "identity": _identity,
    "auto_contrast": _auto_contrast,
    "equalize": _equalize,
    "posterize": _posterize,
    "rotate": _rotate,
    "solarize": _solarize,
    "shear_x": _shear_x,
    "shear_y": _shear_y,
    "translate_x": partial(_translate, axis=1),
    "translate_y": partial(_translate, axis=0),
    "colour": _colour,
    "contrast": _contrast,
    "brightness": _brightness,
    "sharpness": _sharpness,
}


def apply_chain(
    names: Sequence[str],
    image: tf.Tensor,
    choice: tf.Tensor,
    levels: tf.Tensor,
    length: tf.Tensor,
) -> tf.Tensor:
    """Apply the first `length` operations of a chain to an image.

    Batches are processed one image at a time (`tf.map_fn`): an image stays in the CPU cache, images
    need not be sorted by operation, and short chains cost less.

    Args:
        names: Names of `OPERATIONS`.
        image: [H, W, C] float32 in [0, 255].
        choice: [depth] int32, indices into `names`.
        levels: [depth] float32 in [-1, 1].
        length: [] int32, at most depth.

    Returns:
        [H, W, C] float32 in [0, 255].
    """

    def step(index: tf.Tensor, made: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        level = levels[index]
        branches = [lambda name=name: OPERATIONS[name](made, level) for name in names]
        return index + 1, tf.ensure_shape(tf.switch_case(choice[index], branches), image.shape)

    return tf.while_loop(lambda index, _: index < length, step, (0, image))[1]
