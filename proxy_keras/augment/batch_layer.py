"""BatchLayer: a Keras layer that changes a batch of images and labels, keyed by a seed."""

from __future__ import annotations

import inspect
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from proxy_keras.augment.catalogue import LAYERS, import_class
from proxy_keras.augment.option_rules import check_count, check_share, checked_range
from proxy_keras.io.keras_settings import require_tensorflow

require_tensorflow()

FULL_RANGE = (0.0, 255.0)
_GATE = 982_451_653
"""Folded into the seed to draw which images are changed; layers fold in small numbers, from 0."""


class Batch(NamedTuple):
    """The inputs of an augmentation.

    Attributes:
        images: [B, H, W, 3] float32 in [0, 255].
        labels: [B, K] float32, shares of the classes that sum to 1.
        heatmaps: [B, h, w] float32 in [0, 1], if the layer needs them.
    """

    images: tf.Tensor
    labels: tf.Tensor
    heatmaps: tf.Tensor | None


class BatchLayer(keras.layers.Layer):
    """Base class of the augmentations; a subclass implements `augment`.

    Called with a seed, the result depends on the seed and the inputs alone (this is how
    `TrainSplit.batches` calls it). Called without one, like Keras' own layers, each call draws the
    next seed from the layer's own generator.

    ```python
    layer = proxy_keras.augment.get("ricap", seed=1)
    batches = batches.map(lambda images, labels: layer(images, labels))
    ```

    A subclass stores each argument of its constructor in an attribute of the same name.

    Attributes:
        needs_maps: Whether it must be called with `heatmaps`.
        needs_epoch: Whether it must be called with `epoch`.
        keeps_images: Whether it never changes images.
        keeps_labels: Whether it never changes labels.

    Args:
        seed: Seed of the layer's own generator; None: derived from `name`, so that two layers of
            the same class draw different numbers.
        probability: Chance that an image is changed, in [0, 1], drawn per image; the others keep
            their pixels and labels.
        value_range: Lowest and highest value of the input images. They are scaled to [0, 255], the
            range that all options refer to, and back.
        **options: Options of `keras.layers.Layer`.

    Raises:
        ValueError: An option has an invalid value.
    """

    needs_maps: bool = False
    needs_epoch: bool = False
    keeps_images: bool = False
    keeps_labels: bool = False

    def __init__(
        self,
        *,
        seed: int | None = None,
        probability: float = 1.0,
        value_range: Sequence[float] = FULL_RANGE,
        **options: Any,
    ) -> None:
        check_share("probability", probability)
        if seed is not None:
            check_count("seed", seed)
        super().__init__(dtype="float32", autocast=False, **options)
        self.seed = seed
        self.probability = probability
        self.value_range = checked_range("value_range", value_range, -1e6, 1e6)
        if self.value_range[0] == self.value_range[1]:
            raise ValueError(f"`value_range` must be two numbers. Received: {value_range}")
        # Without a seed it would draw one from the generator that initialises a model's weights.
        self._seeds = keras.random.SeedGenerator(
            zlib.crc32(self.name.encode()) if seed is None else seed
        )

    def augment(self, batch: Batch, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Change the images and labels of a batch; a pure function of its arguments.

        Args:
            batch: The inputs.
            seed: [2] int64.

        Returns:
            Images and labels of the same shapes, dtypes and ranges.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement `augment`.")

    def build(self, *shapes: Any) -> None:
        """Do nothing: the layer has no weights."""
        self.built = True

    def call(
        self,
        images: tf.Tensor,
        labels: tf.Tensor,
        seed: tf.Tensor | None = None,
        heatmaps: tf.Tensor | None = None,
        strength: tf.Tensor | float | None = None,
        training: bool = True,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Augment a batch; without a seed the layer draws one.

        Args:
            images, labels, heatmaps: See `Batch`.
            seed: See `augment`.
            strength: Multiplies `probability`; a scalar in [0, 1]. None: 1.
            training: If False, as in the `predict` of a model that contains the layer, nothing
                changes.

        Raises:
            ValueError: The layer needs heatmaps and got none; or labels are class ids.
        """
        if not training:
            return images, labels
        if labels.shape.rank != 2:
            raise ValueError(
                f"{type(self).__name__} needs labels [B, K], shares of the classes. Use "
                "`batches(..., one_hot=True)` or `tf.one_hot`. Received: labels of shape "
                f"{labels.shape}"
            )
        if self.needs_maps and heatmaps is None:
            raise ValueError(f"{type(self).__name__} needs `heatmaps` [B, h, w] of the images.")
        if seed is None:
            seed = tf.cast(self._seeds.next(), tf.int64)
        made, shares = self._augment_in_range(Batch(images, labels, heatmaps), seed)
        if self.probability < 1.0 or strength is not None:
            chance = self.probability * (1.0 if strength is None else tf.cast(strength, tf.float32))
            draw = tf.random.stateless_uniform(
                [tf.shape(images)[0]], seed=tf.random.fold_in(seed, _GATE)
            )
            is_changed = draw < chance
            made = tf.where(is_changed[:, tf.newaxis, tf.newaxis, tf.newaxis], made, images)
            shares = tf.where(is_changed[:, tf.newaxis], shares, labels)
        return tf.ensure_shape(made, images.shape), tf.ensure_shape(shares, labels.shape)

    def _augment_in_range(self, batch: Batch, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Call `augment` on images in `value_range`."""
        if self.value_range == FULL_RANGE:
            return self.augment(batch, seed)
        low, high = self.value_range
        scale = FULL_RANGE[1] / (high - low)
        made, labels = self.augment(batch._replace(images=(batch.images - low) * scale), seed)
        return tf.clip_by_value(low + made / scale, low, high), labels

    @property
    def wrapped(self) -> BatchLayer | None:
        """The augmentation that this one wraps, as `Curriculum` does; None if it wraps none."""
        return None

    @property
    def missing_statistics(self) -> tuple[str, ...]:
        """Statistics of the training data not set yet: functions of `dataset_statistics`."""
        return () if self.wrapped is None else self.wrapped.missing_statistics

    def set_statistic(self, name: str, value: Any) -> None:
        """Set one of `missing_statistics`; see `dataset_statistics.adapt`."""
        if self.wrapped is None:
            raise ValueError(f"{type(self).__name__} does not need {name!r}.")
        self.wrapped.set_statistic(name, value)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor; see `keras.layers.Layer`."""
        config = {
            **super().get_config(),
            "seed": self.seed,
            "probability": self.probability,
            "value_range": self.value_range,
        }
        config.pop("dtype", None)
        own = inspect.signature(type(self).__init__).parameters
        for name in (n for n in own if n not in ("self", "options")):
            value = getattr(self, name)
            is_layer = isinstance(value, BatchLayer)
            config[name] = keras.saving.serialize_keras_object(value) if is_layer else value
        return config


def wrapped_layer(option: str, value: str | BatchLayer | Mapping[str, Any]) -> BatchLayer:
    """Return the layer that an option holds, rebuilt if it is a configuration.

    Raises:
        ValueError: It is not an augmentation, or needs `epoch` itself.
    """
    layer = value
    if isinstance(value, Mapping):
        for name, entry in LAYERS.items():
            if entry.path.endswith(f":{value.get('class_name')}"):
                # Keras only knows classes that have been imported.
                import_class(name)
        layer = keras.saving.deserialize_keras_object(value)
    if not isinstance(layer, BatchLayer) or layer.needs_epoch:
        raise ValueError(
            f"`{option}` must be an augmentation that does not need `epoch`. Received: {value!r}"
        )
    return layer
