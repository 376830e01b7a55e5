"""Base class of saliency maps that depend on the image alone."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import tensorflow as tf

from proxy_keras.attribution.method import Method, MethodOutput
from proxy_keras.attribution.method_options import ImageSaliencyOptions
from proxy_keras.attribution.split_network import Network
from proxy_keras.attribution.target import Target
from proxy_keras.heatmaps import scaling


class ImageSaliency(ImageSaliencyOptions, Method):
    """A method whose heatmap depends on the image alone, not on the network."""

    has_image_size: ClassVar[bool] = True
    needs_layer: ClassVar[bool] = False

    @abstractmethod
    def saliency_maps(self, images: tf.Tensor) -> tf.Tensor:
        """Return saliency [B, h', w'] float32, >= 0, at any resolution.

        Args:
            images: [B, h, w, D] float32 in [-1, 1], downscaled, with the channels of
                `opponent_colours`. A constant image is all zeros.
        """

    def __call__(self, network: Network, images: tf.Tensor, target: Target) -> MethodOutput:
        # Makes constant images exactly 0, so that no transform turns rounding into noise.
        changes = images - images[:, :1, :1, :]
        changes = tf.math.divide_no_nan(
            changes, tf.reduce_max(tf.abs(changes), axis=[1, 2, 3], keepdims=True)
        )
        maps = self.saliency_maps(opponent_colours(downscale(changes, self.side)))
        longer = max(maps.shape[1] or self.side, maps.shape[2] or self.side)
        maps = scaling.smooth(maps, self.blur * longer)
        return network.logits(images), scaling.enlarge(maps, tf.shape(images)[1:3])


def opponent_colours(images: tf.Tensor) -> tf.Tensor:
    """Return RGB as intensity, red-green and blue-yellow; other images unchanged.

    Args:
        images: [B, h, w, C] float32.

    Returns:
        [B, h, w, C] float32, within the range of the input.
    """
    if images.shape[-1] != 3:
        return images
    red, green, blue = tf.unstack(images, axis=-1)
    return tf.stack(
        [(red + green + blue) / 3, (red - green) / 2, blue / 2 - (red + green) / 4], axis=-1
    )


def downscale(images: tf.Tensor, side: int) -> tf.Tensor:
    """Return images downscaled to a longer side of at most `side` pixels.

    Args:
        images: [B, H, W, C] float32.
        side: In pixels.

    Returns:
        [B, h, w, C] float32, with the same aspect ratio; small images unchanged.
    """
    height, width = images.shape[1:3]
    if height is not None and width is not None:
        if max(height, width) <= side:
            return images
        factor = side / max(height, width)
        size = [max(1, round(height * factor)), max(1, round(width * factor))]
    else:
        lengths = tf.cast(tf.shape(images)[1:3], tf.float32)
        factor = tf.minimum(1.0, side / tf.reduce_max(lengths))
        size = tf.maximum(1, tf.cast(tf.round(lengths * factor), tf.int32))
    return tf.image.resize(images, size, antialias=True)


def symmetric_pad(images: tf.Tensor, margin: int) -> tf.Tensor:
    """Return images [B, h + 2 m, w + 2 m, D], padded by mirroring, repeatedly if needed."""
    for axis in (1, 2):
        length = tf.shape(images)[axis]
        places = tf.math.floormod(tf.range(-margin, length + margin), 2 * length)
        images = tf.gather(images, tf.minimum(places, 2 * length - 1 - places), axis=axis)
    return images
