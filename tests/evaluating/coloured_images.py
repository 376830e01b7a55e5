"""Images whose class is a colour, all with the same corner, and a classifier that sees both."""

from __future__ import annotations

import keras
import numpy as np
from numpy.typing import NDArray

SIDE, CELLS = 16, 4


def coloured_images(count: int = 40) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Grey images with a square in red or green (the class) at a random cell, and a blue corner."""
    rng = np.random.default_rng(0)
    images = rng.integers(90, 110, [count, SIDE, SIDE, 3]).astype(np.uint8)
    labels = np.arange(count) % 2
    for image, label, cell in zip(images, labels, rng.integers(0, 12, count), strict=True):
        row, column = divmod(int(cell), CELLS)
        image[4 * row : 4 * row + 4, 4 * column : 4 * column + 4] = 0
        image[4 * row : 4 * row + 4, 4 * column : 4 * column + 4, label] = 250
        image[12:, 12:] = (0, 0, 250)
    return images, labels


def colour_model(blue: float = 0.75, *, cells: int = CELLS) -> keras.Model:
    """Return a classifier whose cells hold the mean colour, with weights set by hand.

    Red favours class 0, green class 1, and blue both over the third class.

    Args:
        blue: Weight of blue.
        cells: Cells along each side of the feature map.
    """
    image = keras.Input([SIDE, SIDE, 3])
    x = keras.layers.AveragePooling2D(SIDE // cells)(image)
    x = keras.layers.Conv2D(3, 1, use_bias=True, activation="relu", name="colours")(x)
    pooled = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(image, keras.layers.Dense(3, use_bias=False)(pooled))
    model.get_layer("colours").set_weights(
        [np.eye(3, dtype="float32")[None, None], np.full([3], -120, "float32")]
    )
    head = np.array([[1, 0, 0], [0, 1, 0], [blue, blue, 0]], np.float32)
    model.layers[-1].set_weights([head])
    return model
