"""Attribute Mix: an attribute mined in another image, pasted in."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from proxy_keras.augment import heatmap_regions
from proxy_keras.augment.batch_layer import Batch, BatchLayer
from proxy_keras.augment.boxes import box_masks, boxes_around
from proxy_keras.augment.masks import paste, size_of
from proxy_keras.augment.option_rules import check_count, check_positive
from proxy_keras.augment.stateless_random import partners
from proxy_keras.heatmaps.scaling import enlarge


@keras.saving.register_keras_serializable("proxy_keras")
class AttributeMix(BatchLayer):
    """CutMix that pastes one attribute of another image at the same place; labels by area.

    Attributes are mined in sequence: the first is the square around the hottest pixel; its heat is
    removed, the next is the square around the pixel that is hottest then, and so on. One of them is
    drawn. Where no heat is left (as in a blank map), the position is random.

    Args:
        attributes: Number of attributes to mine, >= 1.
        size: Side of an attribute as a share of the image's, in (0, 1].

    Raises:
        ValueError: An option is outside its range.

    Source: Li et al., Attribute Mix (VCIP 2020). There each attribute is masked in the image, and
        the network is trained further and explains the rest; here the heat of one map is masked.
        Number and size of the attributes are ours.
    """

    needs_maps = True

    def __init__(self, attributes: int = 3, size: float = 0.3, **options: Any) -> None:
        check_count("attributes", attributes, 1)
        check_positive("size", size, 1.0)
        self.attributes = attributes
        self.size = size
        super().__init__(**options)

    def augment(self, batch: Batch, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images, labels, heatmaps = batch
        count, side = tf.shape(images)[0], size_of(images)[1:]
        partner = partners(count, tf.random.fold_in(seed, 0))
        mined = self._mine_boxes(enlarge(tf.gather(heatmaps, partner), side), side, seed)
        drawn = tf.random.stateless_uniform(
            [count], tf.random.fold_in(seed, 1), 0, self.attributes, tf.int32
        )
        mask = box_masks(tf.gather(mined, drawn, batch_dims=1), side)
        others, theirs = tf.gather(images, partner), tf.gather(labels, partner)
        return paste(images, labels, others, theirs, mask)

    def _mine_boxes(
        self, heat: tf.Tensor, side: tuple[tf.Tensor, tf.Tensor], seed: tf.Tensor
    ) -> tf.Tensor:
        """Return the boxes of the attributes: [B, attributes, 4] int32."""
        length = tf.cast(tf.round(tf.cast(tf.stack(side), tf.float32) * self.size), tf.int32)
        boxes = []
        for number in range(self.attributes):
            centres = heatmap_regions.hottest_pixel(heat, tf.random.fold_in(seed, 10 + number))
            sides = tf.broadcast_to(tf.maximum(length, 1), tf.shape(centres))
            boxes.append(boxes_around(centres, sides, side))
            heat = tf.where(box_masks(boxes[-1], side), 0.0, heat)
        return tf.stack(boxes, axis=1)
