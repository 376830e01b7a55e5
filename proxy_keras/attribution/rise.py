"""RISE."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from proxy_keras.attribution.masking import MaskingMethod, ScoredImages
from proxy_keras.attribution.masking_options import RISEOptions
from proxy_keras.attribution.method import MethodOutput
from proxy_keras.attribution.split_network import Network
from proxy_keras.attribution.stateless_random import uniform
from proxy_keras.attribution.target import Target
from proxy_keras.heatmaps import scaling


class RISE(RISEOptions, MaskingMethod):
    """The mean of random masks, weighted by the class probability of the masked image.

    Masks are coarse random grids, enlarged bilinearly and shifted by up to one cell. The mean
    probability over the masks is subtracted. This changes the expected map only by a constant,
    which scaling removes, but reduces noise: an image whose probability no mask changes gets a
    blank map.

    Options: see `RISEOptions`. The paper's baseline of 0 is the mean colour, as its images are
    centred.

    Source: Petsiuk, Das and Saenko, RISE: Randomized Input Sampling for Explanation of Black-box
    Models (BMVC 2018), equation 6.
    """

    def __call__(self, network: Network, images: tf.Tensor, target: Target) -> MethodOutput:
        """Return logits and raw heatmaps [B, H, W] with a minimum of 0; see `Method`."""
        scored = ScoredImages.of(network, images, target)
        masks_of = self.draw_masks(images.shape[1], images.shape[2])
        changes = self.score_changes_per_mask(
            scored, self.masks, lambda _, indices: masks_of(indices)
        )
        changes -= tf.reduce_mean(changes, axis=1, keepdims=True)
        heat = tf.zeros(images.shape[:3])
        for start in range(0, self.masks, self.chunk_size):
            indices = tf.range(start, min(start + self.chunk_size, self.masks))
            part = tf.gather(changes, indices, axis=1)
            heat += tf.tensordot(part, masks_of(indices), axes=1)
        heat /= self.masks * self.probability
        return scored.logits, heat - tf.reduce_min(heat, axis=[1, 2], keepdims=True)

    def draw_masks(self, height: int, width: int) -> Callable[[tf.Tensor], tf.Tensor]:
        """Return a function from indices of masks [n] to masks [n, height, width] in [0, 1].

        Only the grids are stored, so that memory does not grow with the image.
        """
        shape = [self.masks, self.cells, self.cells]
        draws = uniform(shape, self.seed, 0, (0.0, 1.0))
        grids = tf.cast(draws < self.probability, tf.float32)
        sides = [-(-side // self.cells) for side in (height, width)]
        shifts = [
            tf.cast(uniform([self.masks], self.seed, index, (0.0, float(side))), tf.int32)
            for index, side in enumerate(sides, start=1)
        ]
        size = [(self.cells + 1) * side for side in sides]

        def masks_of(indices: tf.Tensor) -> tf.Tensor:
            large = scaling.enlarge(tf.gather(grids, indices), size)
            down, right = (tf.gather(shift, indices)[:, tf.newaxis] for shift in shifts)
            large = tf.gather(large, down + tf.range(height), axis=1, batch_dims=1)
            return tf.gather(large, right + tf.range(width), axis=2, batch_dims=1)

        return masks_of
