"""What `fit` trains a network with whose heat is guided into objects."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf

from proxy_keras.augment import FlipAndRotate
from proxy_keras.models.frozen_split import FrozenSplit
from proxy_keras.robust.energy_loss import energy_loss, positive_attributions
from proxy_keras.training.fit_input import FitInput, called_as
from proxy_keras.training.stored_features import StoredFeatures


class Guide:
    """A second loss that a network gets while it trains: its heat outside the objects.

    Args:
        split: The network, cut where the heat is measured: after its last feature maps.
        weight: Weight of the loss.

    Attributes:
        split: The same parts. A call of its head records what the loss needs.
    """

    def __init__(self, split: FrozenSplit, weight: float) -> None:
        self._head = split.head
        self._weight = weight
        self._recorded: tuple[tf.Tensor, tf.Tensor, tf.GradientTape] | None = None
        self.split = dataclasses.replace(split, head=self._recorded_head)

    @contextmanager
    def added_to(self, model: keras.Model) -> Iterator[None]:
        """Add the loss to a model's own, for batches with `maps` of objects among their inputs."""
        own: Callable[..., Any] = model.compute_loss

        def compute_loss(x: Any, y: Any, *others: Any, **options: Any) -> Any:
            loss = own(x, y, *others, **options)
            if isinstance(x, dict) and "maps" in x:
                loss += self._weight * self._loss(y, x["maps"])
            return loss

        model.compute_loss = compute_loss
        try:
            yield
        finally:
            del model.compute_loss

    def _recorded_head(self, maps: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(maps)
            logits = self._head(maps)
        self._recorded = maps, logits, tape
        return logits

    def _loss(self, labels: tf.Tensor, objects: tf.Tensor) -> tf.Tensor:
        """Return the loss for the latest batch: labels [B], objects [B, h, w]."""
        if self._recorded is None:
            raise RuntimeError("The loss is computed after a call of the network.")
        maps, logits, tape = self._recorded
        chosen = tf.one_hot(tf.cast(labels, tf.int32), logits.shape[-1], dtype=logits.dtype)
        gradients = tape.gradient(logits, maps, output_gradients=chosen)
        return energy_loss(positive_attributions(maps, gradients), objects)


class _WithObjects:
    """An augmentation that changes the maps of the objects like the images, and returns both."""

    needs_maps = True

    def __init__(self, geometry: FlipAndRotate) -> None:
        self._geometry = geometry

    def __call__(
        self, images: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor, heatmaps: tf.Tensor
    ) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        images, labels = self._geometry(images, labels, seed)
        return {"images": images, "maps": self._geometry.apply_to_maps(heatmaps, seed)}, labels


class GuidedImages(FitInput):
    """Images with the objects in them, flipped and rotated alike.

    Args:
        guide: The loss.
        arguments: Those of `FitInput`.
    """

    def __init__(self, guide: Guide, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._guide = guide

    def training(self) -> Any:
        """Return the training batches: `images` and `maps`, and labels."""
        geometry = FlipAndRotate(self._config.flip, self._config.rotation)
        return self._data.train.batches(
            int(self._config.batch_size), augment=_WithObjects(geometry)
        )

    @contextmanager
    def accepted_by(self, model: keras.Model) -> Iterator[None]:
        """Make `fit` of the model take these batches, with the loss."""
        parts = self._guide.split

        def call(inputs: Any, training: Any = None, mask: Any = None) -> Any:
            images = inputs["images"] if isinstance(inputs, dict) else inputs
            return parts.head(parts.body(images))

        with self._guide.added_to(model), called_as(model, call):
            yield


class GuidedFeatures(StoredFeatures):
    """Stored feature maps with the objects in them.

    Args:
        guide: The loss.
        arguments: Those of `StoredFeatures`, whose features are the maps at which heat is measured.
    """

    def __init__(self, guide: Guide, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._guide = guide

    def training(self) -> Any:
        """Return the training batches, see `TrainSplit.batches`."""
        return self._data.train.batches(
            int(self._config.batch_size), features=self._train, also=("maps",)
        )

    @contextmanager
    def accepted_by(self, model: keras.Model) -> Iterator[None]:
        """Make `fit` of the model take these batches, with the loss."""
        with self._guide.added_to(model), super().accepted_by(model):
            yield
