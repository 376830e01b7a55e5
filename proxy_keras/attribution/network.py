"""A classifier cut in two at its target layer, which is what most methods need to know of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import keras
import tensorflow as tf

from proxy_keras.attribution.target import Target
from proxy_keras.graph import FlatClone


class Network:
    """A flat float32 classifier, cut at its target layer if it has one.

    Args:
        flat: The classifier.
        target: The target layer's output [B, h, w, D], a tensor of `flat`. None: only `logits` is
            available.

    Attributes:
        flat: As given, for methods that look at single layers.
        target: As given.
        features: Images -> [activations, *rest]; `rest` is what the head needs besides them.
        head: [activations, *rest] -> logits [B, K].
    """

    def __init__(self, flat: FlatClone, target: keras.KerasTensor | None) -> None:
        self.flat = flat
        self.target = target
        if target is not None:
            self.features, self.head = flat.split(target)

    def cut(self, images: tf.Tensor) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """The activations [B, h, w, D] and the list of what else the head needs."""
        activations, *rest = tf.nest.flatten(self.features(images, training=False))
        return activations, rest

    def answer(self, activations: tf.Tensor, rest: list[tf.Tensor]) -> tf.Tensor:
        """The logits [B, K] that follow from a cut."""
        return self.head([activations, *rest], training=False)

    def gradients(
        self, activations: tf.Tensor, rest: list[tf.Tensor], target: Target
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """The logits [B, K] that follow from a cut, and the score's gradient at it.

        Args:
            activations: [B, h, w, D] float32.
            rest: What else the head needs.
            target: Gives the score, once the logits are known.

        Returns:
            The gradient is [B, h, w, D] float32; zeros where the score does not depend on them.
        """
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(activations)
            logits = self.answer(activations, rest)
            score = tf.reduce_sum(target(logits)(logits))
        return logits, tape.gradient(
            score, activations, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )

    def logits(self, images: tf.Tensor) -> tf.Tensor:
        """The logits [B, K] of images [B, H, W, C]."""
        return self.flat.model(images, training=False)

    @cached_property
    def compiled(self) -> CompiledNetwork:
        """The same network with each of its functions compiled, for calls outside a graph."""
        return CompiledNetwork(self.flat, self.target)


class CompiledNetwork(Network):
    """A network whose functions are traced once, for any batch size."""

    def cut(self, images: tf.Tensor) -> tuple[tf.Tensor, list[tf.Tensor]]:
        activations, *rest = self._cut(images)
        return activations, rest

    def answer(self, activations: tf.Tensor, rest: list[tf.Tensor]) -> tf.Tensor:
        return self._answer(activations, *rest)

    def logits(self, images: tf.Tensor) -> tf.Tensor:
        return self._logits(images)

    # Concrete functions never trace again. A tf.function would warn of retracing when many
    # networks are made, for it tells them apart by their place in the source only.
    @cached_property
    def _cut(self) -> Callable[..., Any]:
        def cut(images: tf.Tensor) -> list[tf.Tensor]:
            activations, rest = super(CompiledNetwork, self).cut(images)
            return [activations, *rest]

        return _traced(cut, self.flat.model.inputs)

    @cached_property
    def _answer(self) -> Callable[..., Any]:
        def answer(activations: tf.Tensor, *rest: tf.Tensor) -> tf.Tensor:
            return super(CompiledNetwork, self).answer(activations, list(rest))

        return _traced(answer, self.head.inputs)

    @cached_property
    def _logits(self) -> Callable[..., Any]:
        return _traced(super().logits, self.flat.model.inputs)


def _traced(function: Callable[..., Any], inputs: list[keras.KerasTensor]) -> Callable[..., Any]:
    specs = [tf.TensorSpec([None, *tensor.shape[1:]], tensor.dtype) for tensor in inputs]
    return tf.function(function, autograph=False).get_concrete_function(*specs)
