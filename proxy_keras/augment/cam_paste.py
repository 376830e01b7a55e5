"""CAM paste: the hot region of another image, resized and pasted on this image's hot region."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from proxy_keras.augment.batch_layer import Batch, BatchLayer
from proxy_keras.augment.boxes import bounding_boxes, box_masks, warp_boxes
from proxy_keras.augment.masks import paste, size_of
from proxy_keras.augment.option_rules import check_number, check_positive
from proxy_keras.augment.stateless_random import partners
from proxy_keras.heatmaps.scaling import enlarge


@keras.saving.register_keras_serializable("proxy_keras")
class CamPaste(BatchLayer):
    """The hot region of another image, resized and pasted onto this image's; labels by area.

    The hot region is where the enlarged map is at or above `threshold`; it keeps its outline. The
    centre of its bounding box is placed on the centre of this image's hot box, or at random if this
    image has no hot region. A partner without a hot region leaves the image unchanged.

    Args:
        threshold: In (0, 1].
        scale_from, scale_to: Range of the scale factor, drawn per image; 0 <= from <= to. At 0
            nothing changes.

    Raises:
        ValueError: An option is outside its range.

    Source: based on the class activation maps of Zhou et al. (CVPR 2016) and the attention-guided
        augmentation mentioned in S. Mukherjee's thesis (2023), which gives no formula; threshold
        and scales are ours.
    """

    needs_maps = True

    def __init__(
        self,
        threshold: float = 0.5,
        scale_from: float = 0.5,
        scale_to: float = 1.0,
        **options: Any,
    ) -> None:
        check_positive("threshold", threshold, 1.0)
        check_number("scale_from", scale_from, 0.0)
        check_number("scale_to", scale_to, scale_from)
        self.threshold = threshold
        self.scale_from = scale_from
        self.scale_to = scale_to
        super().__init__(**options)

    def augment(self, batch: Batch, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images, labels, heatmaps = batch
        count, side = tf.shape(images)[0], size_of(images)[1:]
        partner = partners(count, tf.random.fold_in(seed, 0))
        is_hot = enlarge(heatmaps, side) >= self.threshold
        own = bounding_boxes(is_hot)
        sources = tf.gather(own, partner)
        factor = tf.random.stateless_uniform(
            [count, 1], tf.random.fold_in(seed, 1), self.scale_from, self.scale_to
        )
        size = tf.cast(sources[:, 2:] - sources[:, :2], tf.float32) * factor
        centres = self._centres(own, side, tf.random.fold_in(seed, 2))
        targets = tf.concat([centres - size / 2, centres + size / 2], axis=1)
        others = tf.gather(images, partner)
        is_theirs = tf.cast(tf.gather(is_hot, partner), tf.float32)
        both = tf.concat([others, is_theirs[..., tf.newaxis]], axis=-1)
        both = warp_boxes(both, tf.cast(sources, tf.float32), targets)
        # Interpolation gives the mask values between 0 and 1, and repeats it beyond the border.
        rounded = tf.cast(tf.round(targets), tf.int32)
        mask = (both[..., -1] >= 0.5) & box_masks(rounded, side)
        return paste(images, labels, both[..., :-1], tf.gather(labels, partner), mask)

    def _centres(
        self, boxes: tf.Tensor, side: tuple[tf.Tensor, tf.Tensor], seed: tf.Tensor
    ) -> tf.Tensor:
        """Return the centres of boxes, [B, 2] float32 rows and columns; random for empty boxes."""
        centres = tf.cast(boxes[:, :2] + boxes[:, 2:], tf.float32) / 2
        anywhere = tf.random.stateless_uniform(tf.shape(centres), seed)
        anywhere *= tf.cast(tf.stack(side), tf.float32)
        return tf.where(boxes[:, 2:] > 0, centres, anywhere)
