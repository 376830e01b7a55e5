"""The geometric augmentation of the training recipe: horizontal flips and small rotations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import tensorflow as tf

from proxy_keras.augment.option_rules import check_number, check_share


@dataclass(frozen=True)
class FlipAndRotate:
    """Random flips and rotations, fully determined by a seed.

    Attributes:
        flip: Chance of a horizontal flip, in [0, 1].
        degrees: Largest rotation in either direction, in degrees, in [0, 180]. Rotations are
            bilinear, with the image mirrored beyond its borders.
    """

    flip: float = 0.5
    degrees: float = 10.0

    def __post_init__(self) -> None:
        check_share("flip", self.flip)
        check_number("degrees", self.degrees, 0.0, 180.0)

    def __call__(
        self, images: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Flip and rotate each image of a batch.

        Args:
            images: [B, H, W, C] float32.
            labels: [B] or [B, K]; returned unchanged.
            seed: [2] int64; the same seed gives the same batch.

        Returns:
            Images of the same shape, dtype and range, and the labels.
        """
        if self.flip > 0:
            images = self._flip(images, tf.random.fold_in(seed, 0))
        if self.degrees > 0:
            angles = self._angles(tf.shape(images)[0], tf.random.fold_in(seed, 1))
            images = rotate(images, angles)
        return images, labels

    def apply_to_maps(self, heatmaps: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Flip and rotate heatmaps as a call with this seed transforms their images.

        Args:
            heatmaps: [B, h, w] float32 of the input images.
            seed: [2] int64.

        Returns:
            [B, h, w] float32 of the output images: exact for flips, interpolated for rotations.
        """
        return self(heatmaps[..., tf.newaxis], heatmaps, seed)[0][..., 0]

    def undo(self, heatmaps: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Transform heatmaps of the output images back to the input images.

        Args:
            heatmaps: [B, h, w] float32 of the images that a call with this seed returned.
            seed: [2] int64.

        Returns:
            [B, h, w] float32 of the input images: exact for flips, interpolated for rotations.
        """
        maps = heatmaps[..., tf.newaxis]
        if self.degrees > 0:
            maps = rotate(maps, -self._angles(tf.shape(maps)[0], tf.random.fold_in(seed, 1)))
        if self.flip > 0:
            maps = self._flip(maps, tf.random.fold_in(seed, 0))
        return maps[..., 0]

    def _flip(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        draw = tf.random.stateless_uniform([tf.shape(images)[0], 1, 1, 1], seed=seed)
        return tf.where(draw < self.flip, tf.reverse(images, axis=[2]), images)

    def _angles(self, count: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        limit = math.radians(self.degrees)
        return tf.random.stateless_uniform([count], seed=seed, minval=-limit, maxval=limit)


def rotate(
    images: tf.Tensor, angles: tf.Tensor, fill_mode: str = "REFLECT", fill_value: float = 0.0
) -> tf.Tensor:
    """Rotate images about their centres.

    Args:
        images: [B, H, W, C] float32.
        angles: [B] float32, radians, counter-clockwise on screen.
        fill_mode, fill_value: See `transform`; by default, borders are mirrored.

    Returns:
        [B, H, W, C] float32, bilinear.
    """
    height = tf.cast(tf.shape(images)[1], tf.float32)
    width = tf.cast(tf.shape(images)[2], tf.float32)
    cos, sin = tf.cos(angles), tf.sin(angles)
    x, y = (width - 1) / 2, (height - 1) / 2
    shift_x, shift_y = x - cos * x + sin * y, y - sin * x - cos * y
    return transform(images, (cos, -sin, shift_x, sin, cos, shift_y), fill_mode, fill_value)


def transform(
    images: tf.Tensor,
    coefficients: Sequence[tf.Tensor | float],
    fill_mode: str,
    fill_value: float = 0.0,
    interpolation: str = "BILINEAR",
) -> tf.Tensor:
    """Apply an affine transform to each image.

    Args:
        images: [B, H, W, C] float32.
        coefficients: a0, a1, a2, b0, b1, b2, each [B] float32 or a number: output pixel (x, y)
            samples the input at (a0 x + a1 y + a2, b0 x + b1 y + b2).
        fill_mode, fill_value, interpolation: See `tf.raw_ops.ImageProjectiveTransformV3`.

    Returns:
        [B, H, W, C] float32.
    """
    zeros = tf.zeros(tf.shape(images)[:1])
    transforms = tf.stack([zeros + value for value in (*coefficients, 0.0, 0.0)], axis=1)
    made = tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=transforms,
        output_shape=tf.shape(images)[1:3],
        fill_value=fill_value,
        interpolation=interpolation,
        fill_mode=fill_mode,
    )
    return tf.ensure_shape(made, images.shape)
