"""SaliencyMix: the box around the most salient pixel of another image, pasted in."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from proxy_keras.augment import heatmap_regions
from proxy_keras.augment.batch_layer import Batch, BatchLayer
from proxy_keras.augment.boxes import box_masks, boxes_around
from proxy_keras.augment.centre_surround import centre_surround
from proxy_keras.augment.masks import paste, size_of
from proxy_keras.augment.option_rules import check_choice, check_positive
from proxy_keras.augment.stateless_random import beta, partners
from proxy_keras.heatmaps.scaling import enlarge


@keras.saving.register_keras_serializable("proxy_keras")
class SaliencyMix(BatchLayer):
    """CutMix whose box surrounds the most salient pixel of the source image.

    The sides of the box are `sqrt(1 - lambda)` of the image's, with lambda from Beta(alpha, alpha).
    It is clipped at the border and pasted at the same place; labels by area. Ties are broken at
    random, so a blank map gives CutMix.

    Args:
        alpha: > 0; 1 in the paper.
        saliency: "network" uses heatmaps; "image" the paper's `centre_surround`, without heatmaps.

    Raises:
        ValueError: An option is outside its range.

    Source: Uddin et al., SaliencyMix (ICLR 2021), "salient to corresponding". Its code uses one box
        for the whole batch; here each image has its own, as in the paper's text.
    """

    def __init__(
        self,
        alpha: float = 1.0,
        saliency: str = "network",
        **options: Any,
    ) -> None:
        check_positive("alpha", alpha)
        check_choice("saliency", saliency, ("network", "image"))
        self.alpha = alpha
        self.saliency = saliency
        self.needs_maps = saliency == "network"
        super().__init__(**options)

    def augment(self, batch: Batch, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images, labels, heatmaps = batch
        count, side = tf.shape(images)[0], size_of(images)[1:]
        partner = partners(count, tf.random.fold_in(seed, 0))
        others, theirs = tf.gather(images, partner), tf.gather(labels, partner)
        if self.needs_maps:
            heat = enlarge(tf.gather(heatmaps, partner), side)
        else:
            heat = centre_surround(others)
        drawn = beta([count], tf.random.fold_in(seed, 1), self.alpha)
        share = tf.sqrt(1.0 - drawn)[:, tf.newaxis]
        sides = tf.cast(tf.cast(tf.stack(side), tf.float32) * share, tf.int32)
        centres = heatmap_regions.hottest_pixel(heat, tf.random.fold_in(seed, 2))
        mask = box_masks(boxes_around(centres, sides, side), side)
        return paste(images, labels, others, theirs, mask)
