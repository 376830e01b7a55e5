"""Single operations on an image, at a level: what RandAugment and AugMix draw from.

Keras has layers for most of them, but draws one for the whole batch, while it traces (AugMix) and
not by the seed that it is given, and equalises a batch by one histogram.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import tensorflow as tf

Operation = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
"""(image [H, W, C] float32 in [0, 255], level [] in [-1, 1]) -> an image alike.

At level 0 all but `auto_contrast` and `equalize`, which have no levels, change nothing. The sign is
the direction; what has none goes by the magnitude.
"""

DEGREES, SHEAR, TRANSLATE, BITS, ENHANCE = 30.0, 0.3, 0.45, 4.0, 0.9
"""What level 1 stands for: AutoAugment's largest magnitudes (Cubuk et al. 2019, table 6).

Degrees; shear; share of the side; bits taken away; and how far the factor of colour, contrast,
brightness and sharpness is from 1.
"""

OUTSIDE = 128.0
"""What comes in from outside of an image: RandAugment's grey."""


def _identity(image: tf.Tensor, level: tf.Tensor) -> tf.Tensor:
    return image


def _size(image: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """(H, W) as int32 scalars."""
    shape = tf.shape(image)
    return shape[0], shape[1]


def _rotate(image: tf.Tensor, level: tf.Tensor) -> tf.Tensor:
    """Counter-clockwise as seen, about the centre."""
    height, width = _size(image)
    y, x = (tf.cast(side - 1, tf.float32) / 2.0 for side in (height, width))
    cos, sin = (f(math.radians(DEGREES) * level) for f in (tf.cos, tf.sin))
    # Output (x, y) reads input (cos x - sin y + back_x, sin x + cos y + back_y).
    back_x, back_y = x - cos * x + sin * y, y - sin * x - cos * y
    made = tf.raw_ops.ImageProjectiveTransformV3(
        images=image[tf.newaxis],
        transforms=[[cos, -sin, back_x, sin, cos, back_y, 0.0, 0.0]],
        output_shape=[height, width],
        fill_value=OUTSIDE,
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )
    return made[0]


# Shears move rows and columns, which is three times as fast as a projection, to the same values.


def _parts(moves: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Whole numbers, int32, and what is left of them, in [0, 1)."""
    whole = tf.floor(moves)
    return tf.cast(whole, tf.int32), moves - whole


def _pixels(image: tf.Tensor, places: tf.Tensor) -> tf.Tensor:
    """[H', W' * C]: the pixels at places [H', W'] int32, which count row by row."""
    channels = image.shape[-1]
    # Faster than `gather` with slices as short as this.
    pixels = tf.gather_nd(tf.reshape(image, [-1, channels]), places[..., tf.newaxis])
    return tf.reshape(pixels, [tf.shape(places)[0], -1])


def _shear_x(image: tf.Tensor, level: tf.Tensor) -> tf.Tensor:
    height, width = _size(image)
    channels = image.shape[-1]
    y = tf.range(height)[:, tf.newaxis]
    whole, share = _parts(SHEAR * level * tf.cast(y, tf.float32))
    framed = tf.pad(image, [[0, 0], [1, 1], [0, 0]], constant_values=OUTSIDE)
    x = tf.clip_by_value(1 + tf.range(width + 1) + whole, 0, width + 1)
    read = _pixels(framed, y * (width + 2) + x)
    near, far = read[:, :-channels], read[:, channels:]
    return tf.reshape(near + share * (far - near), tf.shape(image))


def _shear_y(image: tf.Tensor, level: tf.Tensor) -> tf.Tensor:
    height, width = _size(image)
    x = tf.range(width)
    whole, share = _parts(SHEAR * level * tf.cast(x, tf.float32))
    framed = tf.pad(image, [[1, 1], [0, 0], [0, 0]], constant_values=OUTSIDE)
    y = tf.clip_by_value(1 + tf.range(height + 1)[:, tf.newaxis] + whole, 0, height + 1)
    read = _pixels(framed, y * width + x)
    near, far = read[:-1], read[1:]
    share = tf.repeat(share, image.shape[-1])
    return tf.reshape(near + share * (far - near), tf.shape(image))


def _ends(level: tf.Tensor, side: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """How many rows or columns a translation drops at the near and the far end."""
    by = tf.cast(tf.round(TRANSLATE * level * tf.cast(side, tf.float32)), tf.int32)
    return tf.maximum(by, 0), tf.maximum(-by, 0)


def _translate_x(image: tf.Tensor, level: tf.Tensor) -> tf.Tensor:
    width = tf.shape(image)[1]
    near, far = _ends(level, width)
    left = image[:, near : width - far]
    return tf.pad(left, [[0, 0], [far, near], [0, 0]], constant_values=OUTSIDE)


def _translate_y(image: tf.Tensor, level: tf.Tensor) -> tf.Tensor:
    height = tf.shape(image)[0]
    near, far = _ends(level, height)
    left = image[near : height - far]
    return tf.pad(left, [[far, near], [0, 0], [0, 0]], constant_values=OUTSIDE)


def _solarize(image: tf.Tensor, level: tf.Tensor) -> tf.Tensor:
    # Over two axes, where TensorFlow chooses four times as fast as over three.
    flat = tf.reshape(image, [1, -1])
    made = tf.where(flat < 256.0 * (1.0 - tf.abs(level)), flat, 255.0 - flat)
    return tf.reshape(made, tf.shape(image))


def _posterize(image: tf.Tensor, level: tf.Tensor) -> tf.Tensor:
    step = tf.pow(2.0, tf.round(BITS * tf.abs(level)))
    # A step of 1 would round what lies between whole numbers.
    return tf.cond(step > 1.0, lambda: tf.floor(image / step) * step, lambda: image)


def _auto_contrast(image: tf.Tensor, level: tf.Tensor) -> tf.Tensor:
    height, width = _size(image)
    # Rows first, over all channels at once, which is three times as fast as both axes together.
    low = tf.reduce_min(tf.reduce_min(image, axis=0), axis=0)
    high = tf.reduce_max(tf.reduce_max(image, axis=0), axis=0)
    is_flat = high <= low
    scale = tf.where(is_flat, 1.0, 255.0 / tf.where(is_flat, 1.0, high - low))
    low = tf.where(is_flat, 0.0, low)
    # Rows again: values of channels are spread over one axis much faster than over two.
    rows = tf.reshape(image, [height, -1])
    stretched = (rows - tf.tile(low, [width])) * tf.tile(scale, [width])
    return tf.reshape(tf.clip_by_value(stretched, 0.0, 255.0), tf.shape(image))


def _equalize(image: tf.Tensor, level: tf.Tensor) -> tf.Tensor:
    """As Pillow does it, for each channel: by whole numbers."""
    height, width = _size(image)
    channels = image.shape[-1]
    rows = tf.reshape(tf.cast(tf.clip_by_value(image, 0.0, 255.0), tf.int32), [height, -1])
    # Each channel has 256 places of its own in one histogram and in one table.
    places = rows + tf.tile(256 * tf.range(channels), [width])
    counts = tf.math.bincount(
        tf.reshape(places, [-1]), minlength=256 * channels, maxlength=256 * channels
    )
    histogram = tf.reshape(counts, [channels, 256])
    last = tf.reduce_max(tf.where(histogram > 0, tf.range(256), 0), axis=1, keepdims=True)
    step = (height * width - tf.gather(histogram, last, batch_dims=1)) // 255
    before = tf.cumsum(histogram, axis=1, exclusive=True)
    table = tf.minimum((before + step // 2) // tf.maximum(step, 1), 255)
    # A channel of one value, or of few pixels beside its brightest, is left as it is.
    table = tf.where(step > 0, table, tf.range(256))
    # `gather_nd` is nearly twice as fast here as `gather`.
    new = tf.gather_nd(tf.reshape(tf.cast(table, tf.float32), [-1]), places[..., tf.newaxis])
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
        tf.reduce_min(_size(image)) < 3, lambda: image, lambda: _sharper_inside(image, level)
    )


def _sharper_inside(image: tf.Tensor, level: tf.Tensor) -> tf.Tensor:
    # Sums of shifted images: the convolution of TensorFlow is slower by far for one channel each.
    rows = image[:-2] + image[1:-1] + image[2:]
    inner = image[1:-1, 1:-1]
    smooth = (rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:] + 4.0 * inner) / 13.0
    middle = _enhance(inner, smooth, level)
    # The outermost pixels, which have no neighbours on one side, stay.
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
    "translate_x": _translate_x,
    "translate_y": _translate_y,
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
    """An image after the first `length` operations of a chain, one after the other.

    A batch goes through it image by image (`tf.map_fn`): so an image stays in the processor's
    cache, none is copied to be sorted by operation, and a chain that has ended costs nothing.

    Args:
        names: Of `OPERATIONS`.
        image: [H, W, C] float32 in [0, 255].
        choice: [depth] int32, places in `names`.
        levels: [depth] float32 in [-1, 1].
        length: [] int32, up to depth.

    Returns:
        [H, W, C] float32 in [0, 255].
    """

    def step(place: tf.Tensor, made: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        level = levels[place]
        branches = [lambda name=name: OPERATIONS[name](made, level) for name in names]
        return place + 1, tf.ensure_shape(tf.switch_case(choice[place], branches), image.shape)

    return tf.while_loop(lambda place, _: place < length, step, (0, image))[1]
