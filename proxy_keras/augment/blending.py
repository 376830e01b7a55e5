"""Blends of whole images: SamplePairing, Remix, and mixing with deletion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from proxy_keras.augment.batch_layer import Batch, BatchLayer
from proxy_keras.augment.boxes import rectangles
from proxy_keras.augment.erasing import random_boxes
from proxy_keras.augment.filling import Fill, FillingLayer
from proxy_keras.augment.masks import mix, size_of
from proxy_keras.augment.option_rules import (
    check_number,
    check_positive,
    check_share,
    checked_positives,
    checked_range,
)
from proxy_keras.augment.stateless_random import beta, partners, split_seed


@keras.saving.register_keras_serializable("proxy_keras")
class SamplePairing(BatchLayer):
    """The mean of two images, with the label of the first.

    Args:
        weight: Weight of the second image, in [0, 1].

    Raises:
        ValueError: `weight` is outside [0, 1].

    Source: Inoue, SamplePairing (2018). For its pauses and the final epochs without it, see
    `curriculum`.
    """

    keeps_labels = True

    def __init__(self, weight: float = 0.5, **options: Any) -> None:
        check_share("weight", weight)
        self.weight = weight
        super().__init__(**options)

    def augment(self, batch: Batch, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images, labels, _ = batch
        others = tf.gather(images, partners(tf.shape(images)[0], seed))
        return (1.0 - self.weight) * images + self.weight * others, labels


@keras.saving.register_keras_serializable("proxy_keras")
class Remix(BatchLayer):
    """MixUp whose labels favour the rarer class.

    Args:
        alpha: Parameter of the Beta(alpha, alpha) distribution of the weight, > 0.
        kappa: Ratio of class frequencies from which the label favours the rarer class, >= 1.
        tau: Weight below which the more frequent class can lose its share, in [0, 1].
        class_counts: Examples per class; while empty, Remix equals MixUp. Training from the command
            line sets it; in Python, call `dataset_statistics.adapt`.

    Raises:
        ValueError: An option has an invalid value.

    Source: Chou et al., Remix (2020), equation 7.
    """

    def __init__(
        self,
        alpha: float = 1.0,
        kappa: float = 3.0,
        tau: float = 0.5,
        class_counts: Sequence[float] = (),
        **options: Any,
    ) -> None:
        check_positive("alpha", alpha)
        check_share("tau", tau)
        check_number("kappa", kappa, 1.0)
        self.alpha, self.kappa, self.tau = alpha, kappa, tau
        self.class_counts = checked_positives("class_counts", class_counts)
        super().__init__(**options)

    @property
    def missing_statistics(self) -> tuple[str, ...]:
        return () if self.class_counts else ("class_counts",)

    def set_statistic(self, name: str, value: Any) -> None:
        if name != "class_counts":
            super().set_statistic(name, value)
        # Classes without examples never occur in a batch, but must not divide by zero.
        self.class_counts = tuple(max(float(number), 1.0) for number in value)

    def augment(self, batch: Batch, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """See `BatchLayer`; labels are mixed with their own weights."""
        images, labels, _ = batch
        count = tf.shape(images)[0]
        of_partner, of_weight = split_seed(seed, 2)
        partner = partners(count, of_partner)
        weight = beta([count], of_weight, self.alpha)
        made = mix(images, tf.gather(images, partner), weight)
        others = tf.gather(labels, partner)
        return made, mix(labels, others, self._label_weight(weight, labels, others))

    def _label_weight(self, weight: tf.Tensor, labels: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
        if not self.class_counts:
            return weight
        counts = tf.constant(self.class_counts, tf.float32)
        if len(self.class_counts) != labels.shape[-1]:
            raise ValueError(
                f"`class_counts` must have one number for each of the {labels.shape[-1]} classes. "
                f"Received: {len(self.class_counts)}"
            )
        own, other = (tf.gather(counts, tf.argmax(y, axis=-1)) for y in (labels, others))
        return remix_weight(weight, own / other, self.kappa, self.tau)


def remix_weight(weight: tf.Tensor, ratio: tf.Tensor, kappa: float, tau: float) -> tf.Tensor:
    """Compute Remix's weight of an image's own label.

    Args:
        weight: [B] float32, the weight of the image's pixels.
        ratio: [B] float32, frequency of the image's class over that of the partner's.
        kappa, tau: See `Remix`.

    Returns:
        [B] float32: 0 where the image's class is `kappa` times as frequent and `weight < tau`; 1
        where the partner's class is and `1 - weight < tau`; otherwise `weight`.
    """
    gives_way = (ratio >= kappa) & (weight < tau)
    takes_all = (ratio <= 1.0 / kappa) & (1.0 - weight < tau)
    return tf.where(gives_way, 0.0, tf.where(takes_all, 1.0, weight))


@keras.saving.register_keras_serializable("proxy_keras")
class ImageMixingDeletion(FillingLayer):
    """MixUp with a rectangle of the result deleted; labels by weight.

    Args:
        alpha: Parameter of the Beta(alpha, alpha) distribution of the weight, > 0.
        area: Smallest and largest share of the image that is deleted, in [0, 1].
        fill: See `FillingLayer`.

    Raises:
        ValueError: An option has an invalid value.

    Source: the scheme common to the methods in Naveed et al., Survey: Image Mixing and Deleting for
    Data Augmentation (2021).
    """

    def __init__(
        self,
        alpha: float = 1.0,
        area: Sequence[float] = (0.02, 0.4),
        fill: Fill = "mean",
        **options: Any,
    ) -> None:
        check_positive("alpha", alpha)
        self.alpha = alpha
        self.area = checked_range("area", area, 0.0, 1.0)
        super().__init__(fill=fill, **options)

    def augment(self, batch: Batch, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """See `BatchLayer`; deleted pixels do not affect the labels."""
        images, labels, _ = batch
        count, height, width = size_of(images)
        of_partner, of_weight, of_box = split_seed(seed, 3)
        partner = partners(count, of_partner)
        weight = beta([count], of_weight, self.alpha)
        box = random_boxes(count, height, width, self.area, (0.3, 1 / 0.3), of_box)
        mixed = mix(images, tf.gather(images, partner), weight)
        made = self.fill_where(mixed, rectangles(*box, (height, width)), seed)
        return made, mix(labels, tf.gather(labels, partner), weight)
