"""A classifier split at its target layer into features and head."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import keras
import tensorflow as tf

from proxy_keras.attribution.tape_vjp import vjp
from proxy_keras.attribution.target import Target
from proxy_keras.graph import FlatClone


class Network:
    """A flat float32 classifier, split at its target layer if it has one.

    Args:
        flat: The classifier.
        target: The target layer's output [B, h, w, D], a tensor of `flat`. None: only `logits` is
            available.

    Attributes:
        flat: The classifier, for methods that use single layers.
        target_tensor: The target layer's output.
        features: Images -> [activations, *rest]; `rest` are the head's other inputs.
        head: [activations, *rest] -> logits [B, K].
    """

    def __init__(self, flat: FlatClone, target: keras.KerasTensor | None) -> None:
        self.flat = flat
        self.target_tensor = target
        if target is not None:
            self.features, self.head = flat.split(target)

    def run_features(self, images: tf.Tensor) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Return the activations [B, h, w, D] and the list of the head's other inputs."""
        activations, *rest = tf.nest.flatten(self._call(self.features, images))
        return activations, rest

    def run_head(self, activations: tf.Tensor, rest: list[tf.Tensor]) -> tf.Tensor:
        """Return the logits [B, K] that the head computes from its inputs."""
        return self._call(self.head, [activations, *rest])

    def gradients(
        self, activations: tf.Tensor, rest: list[tf.Tensor], target: Target
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the logits, and the gradients of the score by the activations.

        Args:
            activations: [B, h, w, D] float32.
            rest: The head's other inputs.
            target: Maps the logits to the score.

        Returns:
            Logits [B, K], and gradients [B, h, w, D] float32; zeros where the score does not
            depend on the activations.
        """
        logits, pull_back = vjp(lambda x: self.run_head(x, rest), activations)
        return logits, pull_back(target(logits).gradient(logits))

    def logits(self, images: tf.Tensor) -> tf.Tensor:
        """Return the logits [B, K] of images [B, H, W, C]."""
        return self._call(self.flat.model, images)

    def _call(self, model: keras.Model, inputs: Any) -> Any:
        return model(inputs, training=False)

    @cached_property
    def compiled(self) -> CompiledNetwork:
        """The same network with compiled functions, for calls outside a graph."""
        return CompiledNetwork(self.flat, self.target_tensor)


class CompiledNetwork(Network):
    """A network whose parts are traced once, for any batch size."""

    def __init__(self, flat: FlatClone, target: keras.KerasTensor | None) -> None:
        super().__init__(flat, target)
        self._traced: dict[keras.Model, Callable[..., Any]] = {}

    def _call(self, model: keras.Model, inputs: Any) -> Any:
        if model not in self._traced:
            call, structure = super()._call, tf.nest.map_structure(lambda _: None, inputs)
            specs = [tf.TensorSpec([None, *x.shape[1:]], x.dtype) for x in model.inputs]
            # Concrete functions never trace again. A tf.function would warn of retracing when many
            # networks are made, because it identifies them by their place in the source only.
            self._traced[model] = tf.function(
                lambda *tensors: call(model, tf.nest.pack_sequence_as(structure, tensors)),
                autograph=False,
            ).get_concrete_function(*specs)
        return self._traced[model](*tf.nest.flatten(inputs))
