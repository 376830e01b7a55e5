"""Batches and synthetic heatmaps for tests of augmentations that need heatmaps."""

from __future__ import annotations

import numpy as np
import tensorflow as tf


def seed(number: int = 1) -> tf.Tensor:
    return tf.constant([number, 0], tf.int64)


def levels(n: int = 4, side: int = 14) -> tuple[tf.Tensor, tf.Tensor]:
    """Image i has the constant value 40 i and class i, so pasted pixels can be identified."""
    images = np.zeros((n, side, side, 3), np.float32) + 40.0 * np.arange(n)[:, None, None, None]
    return tf.constant(images, tf.float32), tf.one_hot(np.arange(n), n)


def coloured(n: int = 6, side: int = 16, classes: int = 3) -> tuple[tf.Tensor, tf.Tensor]:
    """Random images; image i has class i % classes."""
    draw = np.random.default_rng(0)
    images = draw.uniform(0, 255, (n, side, side, 3)).astype(np.float32)
    return tf.constant(images), tf.one_hot(np.arange(n) % classes, classes)


def planted(n: int, cells: int, hot: list[tuple[int, int]]) -> tf.Tensor:
    """Heatmaps [n, cells, cells]: 1 in the given cells and 0 elsewhere."""
    maps = np.zeros((n, cells, cells), np.float32)
    for row, column in hot:
        maps[:, row, column] = 1.0
    return tf.constant(maps)


def shown_class(made: tf.Tensor) -> np.ndarray:
    """The source image of each pixel, for images from `levels`: [B, H, W]."""
    return np.rint(made.numpy()[..., 0] / 40.0).astype(int)


def shares_shown(made: tf.Tensor) -> np.ndarray:
    """The share of each source image, for images from `levels`: [B, n]."""
    classes = shown_class(made)
    return np.stack([(classes == k).mean(axis=(1, 2)) for k in range(len(classes))], axis=1)
