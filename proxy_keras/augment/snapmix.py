"""SnapMix: boxes of different size and position; labels by the heat inside them."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from proxy_keras.augment.batch_layer import Batch, BatchLayer
from proxy_keras.augment.boxes import box_masks, boxes_around, warp_boxes
from proxy_keras.augment.masks import size_of
from proxy_keras.augment.option_rules import check_flag, check_positive
from proxy_keras.augment.stateless_random import beta, partners
from proxy_keras.heatmaps.scaling import enlarge


@keras.saving.register_keras_serializable("proxy_keras")
class SnapMix(BatchLayer):
    """A box of another image resized into a box of this one; labels by heat, not by area.

    With S a heatmap that sums to 1 (the paper's semantic percent map; uniform if blank),
    `rho_a = 1 - sum of S_a in the covered box` is the share of this image's class, and
    `rho_b = sum of S_b in the pasted box` that of the other's. **They need not sum to 1**: covering
    the object with background gives a label near 0, the reverse one near 2. These labels are
    weights of the loss, `rho_a CE(a) + rho_b CE(b)`. Use the loss `cross_entropy_of_shares`: the
    gradient of TensorFlow's loss is only correct if labels sum to 1.

    Args:
        alpha: Parameter of the two Beta(alpha, alpha) draws of the box sizes, > 0; 5 in the paper.
        sum_to_one: Whether to divide labels by their sum. False in the paper.

    Raises:
        ValueError: An option is outside its range.

    Source: Huang et al., SnapMix (AAAI 2021), where the map is that of the true class under the
        current weights. Here any map can be given.
    """

    needs_maps = True

    def __init__(
        self,
        alpha: float = 5.0,
        sum_to_one: bool = False,
        **options: Any,
    ) -> None:
        check_positive("alpha", alpha)
        check_flag("sum_to_one", sum_to_one)
        self.alpha = alpha
        self.sum_to_one = sum_to_one
        super().__init__(**options)

    def augment(self, batch: Batch, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """See `BatchLayer`, except that labels [B, K] in [0, 2] need not sum to 1."""
        images, labels, heatmaps = batch
        count, side = tf.shape(images)[0], size_of(images)[1:]
        partner = partners(count, tf.random.fold_in(seed, 0))
        covered = self._boxes(count, side, tf.random.fold_in(seed, 1))
        # If either box is empty, nothing is pasted.
        cut = tf.where(_is_empty(covered), covered, self._boxes(count, side, seed))
        covered = tf.where(_is_empty(cut), cut, covered)
        percent = _percent_maps(enlarge(heatmaps, side))
        kept = 1.0 - _heat_inside(percent, box_masks(covered, side))
        pasted = _heat_inside(tf.gather(percent, partner), box_masks(cut, side))
        others = warp_boxes(tf.gather(images, partner), cut, covered)
        mask = box_masks(covered, side)[..., tf.newaxis]
        mixed = kept * labels + pasted * tf.gather(labels, partner)
        if self.sum_to_one:
            total = tf.reduce_sum(mixed, axis=1, keepdims=True)
            mixed = tf.where(total > 0, tf.math.divide_no_nan(mixed, total), labels)
        return tf.where(mask, others, images), mixed

    def _boxes(
        self, count: tf.Tensor, side: tuple[tf.Tensor, tf.Tensor], seed: tf.Tensor
    ) -> tf.Tensor:
        """Draw boxes [B, 4] of random size and position, clipped at the border."""
        drawn = beta([count], tf.random.fold_in(seed, 10), self.alpha)
        share = tf.sqrt(1.0 - drawn)[:, tf.newaxis]
        limit = tf.cast(tf.stack(side), tf.float32)
        centres = limit * tf.random.stateless_uniform([count, 2], tf.random.fold_in(seed, 11))
        sides = tf.cast(limit * share, tf.int32)
        return boxes_around(tf.cast(centres, tf.int32), sides, side)


@keras.saving.register_keras_serializable("proxy_keras")
def cross_entropy_of_shares(y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
    """Compute the cross-entropy [B] of logits [B, K], for labels [B, K] with any sum.

    TensorFlow's operation uses the gradient `softmax - labels`, which is only correct if labels sum
    to 1; here it is `sum(labels) * softmax - labels`.
    """
    log_shares = tf.nn.log_softmax(tf.cast(y_pred, tf.float32))
    return -tf.reduce_sum(tf.cast(y_true, tf.float32) * log_shares, axis=-1)


def _is_empty(boxes: tf.Tensor) -> tf.Tensor:
    """Return whether each box [B, 4] is empty: [B, 1] bool."""
    return tf.reduce_any(boxes[:, 2:] <= boxes[:, :2], axis=1, keepdims=True)


def _percent_maps(heat: tf.Tensor) -> tf.Tensor:
    """Scale maps [B, H, W] to sum to 1; a blank map becomes uniform."""
    is_blank = tf.reduce_max(heat, axis=[1, 2], keepdims=True) <= 0
    heat = tf.where(is_blank, 1.0, heat)
    return heat / tf.reduce_sum(heat, axis=[1, 2], keepdims=True)


def _heat_inside(percent: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Sum maps, which sum to 1, inside a mask: [B, 1]."""
    inside = tf.reduce_sum(tf.where(mask, percent, 0.0), axis=[1, 2])
    return tf.clip_by_value(inside, 0.0, 1.0)[:, tf.newaxis]
