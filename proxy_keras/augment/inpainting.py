"""Hot regions filled with a continuation of what is around them."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from proxy_keras.io.extras import extra

RADIUS = 3
"""Pixels around a hole that its rim is made of."""


def check_inpainting() -> None:
    """Check that images can be inpainted.

    Raises:
        MissingExtra: OpenCV is not installed.
    """
    with extra("cues"):
        import cv2  # noqa: F401


def inpaint(images: tf.Tensor, is_hot: tf.Tensor, peak: float) -> tf.Tensor:
    """Return images whose hot pixels continue what is around them.

    An image that is hot everywhere stays as it is. Call `check_inpainting` before: pipelines that
    never inpaint contain this operation too, and must not need OpenCV.

    Args:
        images: [B, H, W, 3] float32 in [0, peak].
        is_hot: [B, H, W] bool.
        peak: The value of white: 1 or 255.

    Returns:
        [B, H, W, 3] float32; hot pixels in steps of peak / 255.

    Source: Telea, An Image Inpainting Technique Based on the Fast Marching Method, J. Graphics
        Tools 9 (2004).
    """

    def fill(images: NDArray[np.float32], holes: NDArray[np.bool_]) -> NDArray[np.float32]:
        import cv2

        filled = images.copy()
        for image, hole in zip(filled, holes, strict=True):
            if hole.any() and not hole.all():
                pixels = np.rint(image * (255.0 / peak)).astype(np.uint8)
                made = cv2.inpaint(pixels, hole.astype(np.uint8), RADIUS, cv2.INPAINT_TELEA)
                image[hole] = made[hole] * np.float32(peak / 255.0)
        return filled

    done = tf.numpy_function(fill, [images, is_hot], tf.float32, stateful=False)
    return tf.ensure_shape(done, images.shape)
