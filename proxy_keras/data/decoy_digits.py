"""Digits in clutter, with a coloured patch that reveals the class in training only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from proxy_keras.io.extras import extra

# These values were chosen together: resnet20, trained for 20 epochs in batches of 32 (AdamW, up to
# 2e-3), reaches 96 to 97% on test without decoys (3 seeds), and 73, 62 and 69% with them.
# benchmarks/decoy_digits.py repeats the measurement.
DIGIT_SIDE = (0.45, 0.6)
"""Range of the digit's side as a share of the image's: too small to find without looking."""

CLUTTER_PIECES = (2, 4)
"""Range of the number of pieces of other digits, inclusive: a stroke alone reveals no class."""

CLUTTER_INK = 0.5
"""Highest contrast of a piece as a share of the digit's: pieces are fainter than the digit."""

NOISE = 8.0
"""Standard deviation of the background noise, in grey levels."""

DECOY_RATE = 0.92
"""Share of training images whose decoy matches the digit. The others contradict it, so a network
that also learns the digits has a lower loss."""

HUES = 5
"""Number of decoy colours. Each one covers two digits, so the colour alone is never enough. With
one colour per digit, networks with some seeds learn little but the colours."""

DECOY_SIDE = 0.19
"""Side of the decoy as a share of the image's: 6 of 32 pixels, about one cell of the last layer."""

TEST_SHARE = 0.2

_CELLS = 8
_NUM_CLASSES = 10


@dataclass(frozen=True)
class DecoyDigits:
    """Images of digits, with a test split.

    Attributes:
        x_train: [n, P, P, 3] uint8.
        y_train: [n] int64 digits.
        x_test: [m, P, P, 3] uint8.
        y_test: [m] int64 digits.
        boxes_train: [n, 4] int64: x0, y0, x1, y1 of the digit; x1 and y1 are exclusive.
        boxes_test: [m, 4] the same.
        decoys_train: [n, 4] the box of the decoy; set even if decoys are not drawn.
        decoys_test: [m, 4] the same.
        classes: "0" to "9".
    """

    x_train: NDArray[np.uint8]
    y_train: NDArray[np.int64]
    x_test: NDArray[np.uint8]
    y_test: NDArray[np.int64]
    boxes_train: NDArray[np.int64]
    boxes_test: NDArray[np.int64]
    decoys_train: NDArray[np.int64]
    decoys_test: NDArray[np.int64]
    classes: tuple[str, ...] = tuple("0123456789")


def make_decoy_digits(seed: int = 0, *, decoys: bool = True, image_size: int = 32) -> DecoyDigits:
    """Make images of scikit-learn's 1,797 handwritten digits in clutter, with or without decoys.

    A decoy is a coloured square next to the digit. Each colour covers two classes (0 and 1, 2 and
    3, ...). In training it is the digit's own colour in `DECOY_RATE` of the images and another one
    in the rest; in test it is random. Without decoys, the split and the images are the same except
    for the squares. Digits are split first, so no digit, nor a piece of it, is in both splits.

    Args:
        seed: Keys the split, the clutter and the decoys.
        decoys: Draw the decoys.
        image_size: Side P in pixels, >= 16.

    Raises:
        ValueError: `image_size` is below 16.
    """
    if image_size < 16:
        raise ValueError(f"`image_size` must be >= 16 for a digit. Received: {image_size}")
    # Imported here because it takes a second, which other data do not need.
    with extra("train"):
        from sklearn.datasets import load_digits

    source = load_digits()
    ink = source.images / 16.0
    labels = source.target.astype(np.int64)
    is_test = _test_part(labels, seed)
    images = np.empty((len(ink), image_size, image_size, 3), np.uint8)
    boxes, patches = np.empty((2, len(ink), 4), np.int64)
    for part in (~is_test, is_test):
        members = np.flatnonzero(part)
        for index in members.tolist():
            rng = np.random.default_rng([seed, index])
            scene, boxes[index] = _draw_scene(
                ink[index], ink[rng.choice(members, 8)], image_size, rng
            )
            patches[index] = _place_decoy(boxes[index], image_size, rng)
            hue = _decoy_hue(labels[index], is_test[index], rng)
            if decoys:
                x0, y0, x1, y1 = patches[index]
                scene[y0:y1, x0:x1] = _colour(hue)
            images[index] = np.clip(np.rint(scene), 0, 255)
    return DecoyDigits(
        x_train=images[~is_test],
        y_train=labels[~is_test],
        x_test=images[is_test],
        y_test=labels[is_test],
        boxes_train=boxes[~is_test],
        boxes_test=boxes[is_test],
        decoys_train=patches[~is_test],
        decoys_test=patches[is_test],
    )


def _test_part(labels: NDArray[np.int64], seed: int) -> NDArray[np.bool_]:
    """Return [N] whether each digit is in test: the same share of every class."""
    rng = np.random.default_rng([seed, len(labels)])
    is_test = np.zeros(len(labels), bool)
    for class_id in range(_NUM_CLASSES):
        members = rng.permutation(np.flatnonzero(labels == class_id))
        is_test[members[: round(len(members) * TEST_SHARE)]] = True
    return is_test


def _draw_scene(
    digit: NDArray[np.float64],
    others: NDArray[np.float64],
    side: int,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Draw an image without its decoy; return [P, P, 3] in grey levels and the digit's box."""
    scene = rng.uniform(40, 100) + rng.normal(0, NOISE, (side, side, 3))
    contrast = rng.uniform(90, 150)
    for other in others[: rng.integers(CLUTTER_PIECES[0], CLUTTER_PIECES[1] + 1)]:
        y, x = rng.integers(0, _CELLS // 2 + 1, 2)
        piece = other[y : y + _CELLS // 2, x : x + _CELLS // 2]
        strength = contrast * CLUTTER_INK * rng.uniform(0.5, 1)
        _paint(scene, piece, round(side * rng.uniform(0.2, 0.3)), strength, rng)
    box = _paint(scene, digit, round(side * rng.uniform(*DIGIT_SIDE)), contrast, rng)
    return scene, box


def _paint(
    scene: NDArray[np.float64],
    ink: NDArray[np.float64],
    size: int,
    strength: float,
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Add ink, enlarged to `size`, at a random position; return the box of its visible part."""
    tint = rng.uniform(0.8, 1.0, 3)
    y, x = rng.integers(0, scene.shape[0] - size + 1, 2)
    enlarged = np.asarray(
        Image.fromarray(ink.astype(np.float32)).resize((size, size), Image.Resampling.BILINEAR)
    )
    scene[y : y + size, x : x + size] += strength * enlarged[..., np.newaxis] * tint
    rows, columns = np.nonzero(enlarged > 0.25)
    if rows.size == 0:
        return np.array([x, y, x + size, y + size])
    return np.array([x + columns.min(), y + rows.min(), x + columns.max() + 1, y + rows.max() + 1])


def _place_decoy(box: NDArray[np.int64], side: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return the box of the decoy, at a random position that does not cover the digit."""
    size = round(side * DECOY_SIDE)
    y, x = np.mgrid[: side - size + 1, : side - size + 1]
    x0, y0, x1, y1 = box
    is_free = (x + size <= x0) | (x >= x1) | (y + size <= y0) | (y >= y1)
    y, x = y[is_free], x[is_free]
    at = rng.integers(len(x))
    return np.array([x[at], y[at], x[at] + size, y[at] + size])


def _decoy_hue(label: int, is_test: bool, rng: np.random.Generator) -> int:
    chance, other = rng.random(), int(rng.integers(1, HUES))
    if is_test:
        return int(rng.integers(HUES))
    own = int(label) * HUES // _NUM_CLASSES
    return own if chance < DECOY_RATE else (own + other) % HUES


def _colour(hue: int) -> NDArray[np.float64]:
    angle = 2 * np.pi * (hue / HUES + np.array([0, 1 / 3, 2 / 3]))
    return 110 + 90 * np.cos(angle)
