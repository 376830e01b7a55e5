"""SnapMix: patches of different size and place; labels by the attention that they carry."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from proxy_keras.augment import heatmap_regions
from proxy_keras.augment.batch_layer import Batch, BatchLayer
from proxy_keras.augment.option_rules import check_flag, check_positive
from proxy_keras.augment.stateless_random import beta, partners
from proxy_keras.heatmaps.scaling import enlarge


@keras.saving.register_keras_serializable("proxy_keras")
class SnapMix(BatchLayer):
    """A box of another image resized into a box of this one; labels by attention, not by area.

    With S a heatmap that sums to 1 (the paper's semantic percent map; a blank one is even):
    `rho_a = 1 - sum of S_a in the box that is covered` is the share of this image's class, and
    `rho_b = sum of S_b in the box that is pasted` that of the other's. **They need not sum to 1**:
    a covered object and a pasted background give a label near 0, the reverse one near 2. So these
    labels are weights of the loss, `rho_a CE(a) + rho_b CE(b)`. For them use the loss
    `cross_entropy_of_shares`, for TensorFlow's own has another gradient unless labels sum to 1.

    Args:
        alpha: > 0, of the two Beta(alpha, alpha) draws of the boxes' shares; the paper's is 5.
        sum_to_one: Labels divided by their sum. The paper's rule is False.

    Raises:
        ValueError: An option is outside its range.

    Source: Huang et al., SnapMix (AAAI 2021). There the map is that of the true class under the
        network of this very step; here it is the one that was given.
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
        """See `BatchLayer`, but labels [B, K] in [0, 2] may have another sum than 1."""
        images, labels, heatmaps = batch
        count, side = tf.shape(images)[0], heatmap_regions.spatial_size(images)
        partner = partners(count, tf.random.fold_in(seed, 0))
        covered = self._boxes(count, side, tf.random.fold_in(seed, 1))
        # Also without a box to cut there is nothing to paste.
        cut = tf.where(_is_empty(covered), covered, self._boxes(count, side, seed))
        covered = tf.where(_is_empty(cut), cut, covered)
        percent = _percent_maps(enlarge(heatmaps, side))
        kept = 1.0 - _mass(percent, heatmap_regions.box_masks(covered, side))
        brought = _mass(tf.gather(percent, partner), heatmap_regions.box_masks(cut, side))
        others = heatmap_regions.warp_boxes(tf.gather(images, partner), cut, covered)
        mask = heatmap_regions.box_masks(covered, side)[..., tf.newaxis]
        mixed = kept * labels + brought * tf.gather(labels, partner)
        if self.sum_to_one:
            total = tf.reduce_sum(mixed, axis=1, keepdims=True)
            mixed = tf.where(total > 0, tf.math.divide_no_nan(mixed, total), labels)
        return tf.where(mask, others, images), mixed

    def _boxes(
        self, count: tf.Tensor, side: tuple[tf.Tensor, tf.Tensor], seed: tf.Tensor
    ) -> tf.Tensor:
        """Boxes [B, 4] of drawn sizes at places drawn anywhere, cut at the border."""
        drawn = beta([count], tf.random.fold_in(seed, 10), self.alpha)
        share = tf.sqrt(1.0 - drawn)[:, tf.newaxis]
        limit = tf.cast(tf.stack(side), tf.float32)
        centres = limit * tf.random.stateless_uniform([count, 2], tf.random.fold_in(seed, 11))
        sides = tf.cast(limit * share, tf.int32)
        return heatmap_regions.boxes_around(tf.cast(centres, tf.int32), sides, side)


@keras.saving.register_keras_serializable("proxy_keras")
def cross_entropy_of_shares(y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
    """The cross-entropy [B] of logits [B, K] for labels [B, K] of any sum, right in its gradient.

    TensorFlow's operation takes the gradient to be `softmax - labels`, which it is only where the
    labels sum to 1; here it is `sum(labels) * softmax - labels`. For shares that sum to 1 both are
    the same.
    """
    log_shares = tf.nn.log_softmax(tf.cast(y_pred, tf.float32))
    return -tf.reduce_sum(tf.cast(y_true, tf.float32) * log_shares, axis=-1)


def _is_empty(boxes: tf.Tensor) -> tf.Tensor:
    """Which boxes [B, 4] hold no pixel: [B, 1] bool."""
    return tf.reduce_any(boxes[:, 2:] <= boxes[:, :2], axis=1, keepdims=True)


def _percent_maps(heat: tf.Tensor) -> tf.Tensor:
    """Maps [B, H, W] scaled to sum to 1; a blank one becomes even."""
    is_blank = tf.reduce_max(heat, axis=[1, 2], keepdims=True) <= 0
    heat = tf.where(is_blank, 1.0, heat)
    return heat / tf.reduce_sum(heat, axis=[1, 2], keepdims=True)


def _mass(percent: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """What lies inside a mask of maps that sum to 1: [B, 1]."""
    inside = tf.reduce_sum(tf.where(mask, percent, 0.0), axis=[1, 2])
    return tf.clip_by_value(inside, 0.0, 1.0)[:, tf.newaxis]
