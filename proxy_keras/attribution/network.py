"""A classifier cut in two at its target layer, which is all that a method needs to know of it."""

from __future__ import annotations

from dataclasses import dataclass

import keras
import tensorflow as tf


@dataclass(frozen=True)
class Network:
    """The two halves of a classifier.

    Attributes:
        features: Images [B, H, W, C] float32 -> [activations, *rest], where activations is the
            target layer's output [B, h, w, D] and `rest` what the head needs besides it.
        head: [activations, *rest] -> logits [B, K] float32.
    """

    features: keras.Model
    head: keras.Model

    def cut(self, images: tf.Tensor) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """The activations [B, h, w, D] and the list of what else the head needs."""
        activations, *rest = tf.nest.flatten(self.features(images, training=False))
        return activations, rest

    def answer(self, activations: tf.Tensor, rest: list[tf.Tensor]) -> tf.Tensor:
        """The logits [B, K] that follow from a cut."""
        return self.head([activations, *rest], training=False)

    def logits(self, images: tf.Tensor) -> tf.Tensor:
        """The logits [B, K] of images [B, H, W, C]."""
        return self.answer(*self.cut(images))
