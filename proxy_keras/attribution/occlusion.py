"""Occlusion."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from proxy_keras.attribution.masking import MaskingMethod, ScoredImages
from proxy_keras.attribution.masking_options import OcclusionOptions
from proxy_keras.attribution.method import MethodOutput, SignedMethod
from proxy_keras.attribution.split_network import Network
from proxy_keras.attribution.target import Target


class Occlusion(OcclusionOptions, SignedMethod, MaskingMethod):
    """The drop of the class probability when a patch slides over the image.

    Each pixel gets the mean drop over the patches that cover it. The last patch of each row and
    column ends at the border, so that every pixel is covered.

    Source: Zeiler and Fergus, Visualizing and Understanding Convolutional Networks (ECCV 2014).
    """

    def attribute(self, network: Network, images: tf.Tensor, target: Target) -> MethodOutput:
        """Return logits and mean drops [B, H, W, 1]; see `SignedMethod`."""
        scored = ScoredImages.of(network, images, target)
        rows, columns = (tf.constant(self._windows(side)) for side in images.shape[1:3])
        across = columns.shape[0]

        def masks_of(_: tf.Tensor, indices: tf.Tensor) -> tf.Tensor:
            down = tf.gather(rows, indices // across)[:, :, tf.newaxis]
            return 1.0 - down * tf.gather(columns, indices % across)[:, tf.newaxis]

        count = rows.shape[0] * across
        changes = self.score_changes_per_mask(scored, count, masks_of)
        drops = tf.reshape(-changes, [-1, rows.shape[0], across])
        covers = tf.einsum("rh,cw->hw", rows, columns)
        heat = tf.einsum("brc,rh,cw->bhw", drops, rows, columns) / covers
        return scored.logits, heat[..., tf.newaxis]

    def _windows(self, side: int) -> np.ndarray:
        """Return the patch's positions along an axis as masks [positions, side] float32."""
        length = _pixels(self.patch, side)
        step = max(1, length // 2) if self.stride is None else _pixels(self.stride, side)
        last = side - length
        starts = np.append(np.arange(0, last, step), last)[:, np.newaxis]
        pixels = np.arange(side)
        return ((pixels >= starts) & (pixels < starts + length)).astype(np.float32)


def _pixels(length: float, side: int) -> int:
    whole = isinstance(length, (int, np.integer))
    return min(side, max(1, int(length) if whole else round(length * side)))
