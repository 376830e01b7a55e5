"""KeepAugment: another augmentation that preserves the most salient region."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from proxy_keras.augment.batch_layer import Batch, BatchLayer, wrapped_layer
from proxy_keras.augment.boxes import box_masks
from proxy_keras.augment.catalogue import SELECTIVE_CUTS
from proxy_keras.augment.erasing import Cutout
from proxy_keras.augment.keras_layers import CutMix
from proxy_keras.augment.masks import paste, size_of
from proxy_keras.augment.option_rules import check_share
from proxy_keras.augment.stateless_random import partners
from proxy_keras.heatmaps.scaling import enlarge

_POSITIONS = 32
"""Region positions per side that are considered; more would cost time and change little."""


@keras.saving.register_keras_serializable("proxy_keras")
class KeepAugment(BatchLayer):
    """An augmentation that cuts outside the salient region, or restores that region afterwards.

    The importance of a region is the sum of its heat; `tau` is the `quantile` of the importance of
    all regions of this size. *Selective cut*, for "cutout" and "cutmix": a region of importance at
    most `tau` is drawn, and blackened or replaced by another image's (then labels by area).
    *Selective paste*, for all others: a region of importance at least `tau` is drawn, and the
    original image is pasted there over the output of the inner augmentation.

    If that mixes labels, a pasted share `a` of the image gives `(1 - a) * mixed + a * own`: exact
    for mixtures with the same weight everywhere, such as mixup. Regions of equal importance are
    equally likely, so a blank map gives any region.

    Args:
        inner: "cutout", "cutmix", or another augmentation, a `BatchLayer` or its configuration from
            `keras.saving`. A selective cut has the size of the region, and no options of its own.
        length: Side of the region as a share of the image's, in [0, 1]. At 0 nothing is cut, at 1
            everything is kept.
        quantile: In [0, 1].

    Raises:
        ValueError: An option is outside its range, or `inner` is not an augmentation.

    Source: Gong et al., KeepAugment (CVPR 2021), where the heat is the gradient of the logit. Here
        any map works, and regions start at up to 32 positions per side, as in the paper's
        low-resolution approximation.
    """

    needs_maps = True

    def __init__(
        self,
        inner: str | BatchLayer | Mapping[str, Any] = "cutout",
        length: float = 0.5,
        quantile: float = 0.6,
        **options: Any,
    ) -> None:
        check_share("length", length)
        check_share("quantile", quantile)
        super().__init__(**options)
        self.inner = inner if inner in SELECTIVE_CUTS else wrapped_layer("inner", inner)
        if isinstance(self.inner, (Cutout, CutMix)):
            raise ValueError(
                "KeepAugment cuts a region of its own size in place of Cutout and CutMix: set "
                f"`inner` to one of {', '.join(SELECTIVE_CUTS)}, and `length`. Received: {inner!r}"
            )
        self.length = length
        self.quantile = quantile
        self.keeps_labels = inner == "cutout" or bool(self.wrapped and self.wrapped.keeps_labels)

    @property
    def wrapped(self) -> BatchLayer | None:
        return self.inner if isinstance(self.inner, BatchLayer) else None

    def augment(self, batch: Batch, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images, labels, heatmaps = batch
        side = size_of(images)[1:]
        boxes = self._boxes(enlarge(heatmaps, side), side, tf.random.fold_in(seed, 0))
        mask = box_masks(boxes, side)
        inner_seed = tf.random.fold_in(seed, 1)
        if self.wrapped is not None:
            made, mixed = self.wrapped(images, labels, inner_seed, heatmaps)
            return paste(made, mixed, images, labels, mask)
        if self.inner == "cutout":
            return tf.where(mask[..., tf.newaxis], 0.0, images), labels
        partner = partners(tf.shape(images)[0], inner_seed)
        others, theirs = tf.gather(images, partner), tf.gather(labels, partner)
        return paste(images, labels, others, theirs, mask)

    def _boxes(
        self, heat: tf.Tensor, side: tuple[tf.Tensor, tf.Tensor], seed: tf.Tensor
    ) -> tf.Tensor:
        """Draw a region for each image: [B, 4] int32."""
        sides = [tf.cast(tf.round(tf.cast(s, tf.float32) * self.length), tf.int32) for s in side]
        rows, columns = (_starts(s - long) for s, long in zip(side, sides, strict=True))
        sums = tf.pad(tf.cumsum(tf.cumsum(heat, 1), 2), [[0, 0], [1, 0], [1, 0]])
        bands = tf.gather(sums, rows + sides[0], axis=1) - tf.gather(sums, rows, axis=1)
        inside = tf.gather(bands, columns + sides[1], axis=2) - tf.gather(bands, columns, axis=2)
        importance = tf.reshape(inside, [tf.shape(heat)[0], -1])
        # Sums of equal heat can differ by rounding.
        step = 1e-5 * tf.reduce_sum(heat, axis=[1, 2])[:, tf.newaxis]
        ranked = tf.sort(importance, axis=1)
        last = tf.cast(tf.shape(ranked)[1] - 1, tf.float32)
        tau = tf.gather(ranked, tf.cast(self.quantile * last, tf.int32), axis=1)[:, tf.newaxis]
        is_cut = self.wrapped is None
        fits = importance <= tau + step if is_cut else importance >= tau - step
        draw = tf.random.stateless_uniform(tf.shape(fits), seed)
        index = tf.argmax(tf.where(fits, draw, -1.0), axis=1, output_type=tf.int32)
        y0 = tf.gather(rows, index // tf.shape(columns)[0])
        x0 = tf.gather(columns, index % tf.shape(columns)[0])
        return tf.stack([y0, x0, y0 + sides[0], x0 + sides[1]], axis=1)


def _starts(room: tf.Tensor) -> tf.Tensor:
    """Return the start positions from 0 to `room`, about `_POSITIONS` of them."""
    return tf.range(0, room + 1, tf.maximum(1, room // _POSITIONS))
